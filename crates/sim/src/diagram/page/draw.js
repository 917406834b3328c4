// ---- Drawing ----

const NS = 'http://www.w3.org/2000/svg';
function el(into, name, attributes, text) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  into.append(node);
  return node;
}
const svg = document.createElementNS(NS, 'svg');
const spacer = document.createElement('div');
view.append(svg, spacer);

const MARKS = {
  message: 'M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0', sent: 'M-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0',
  request: 'M-5-5L5 0L-5 5Z', reply: 'M5-5L-5 0L5 5Z', more: 'M-5-5L5 0L-5 5Z', gone: 'M-4-4L4 4M4-4L-4 4',
  timer: 'M0-5L5 0L0 5L-5 0Z', square: 'M-4-4H4V4H-4Z', link: 'M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0M-4.5 0H4.5',
  cross: 'M-5-5L5 5M5-5L-5 5', up: 'M0-6L5 4H-5Z', stalled: 'M-3-5V5M3-5V5', fault: 'M0-7L6.5 5H-6.5Z',
};
const SOLID = new Set(['message', 'sent', 'request', 'durable', 'write', 'up', 'crash', 'start', 'failed']);

function markOf(e) {
  if (MARKS[e.kind] && e.kind !== 'up') return e.kind;
  if (e.group === 'lost' || e.kind === 'crash') return 'cross';
  if (e.kind === 'boot' || e.kind === 'start') return 'up';
  return e.group === 'links' ? 'link' : e.group === 'faults' ? 'fault' : 'square';
}
const failed = e => e.kind === 'failed' || e.kind === 'damaged' || (e.kind === 'write' && e.text.endsWith('false)'))
  || (e.kind === 'boot' && e.text.endsWith('false)')) || (e.kind === 'tidy' && e.text === 'None');

function drawMark(into, e, x, y) {
  const solid = SOLID.has(e.kind) || failed(e) ? ' solid' : '';
  return el(into, 'path', { d: MARKS[markOf(e)], transform: `translate(${x} ${y})`,
    class: `mark${solid} ${failed(e) ? 'faults' : e.group}` });
}

// What there is to say in a line: without what all of its kind have, and what nobody reads.
function brief(e) {
  if (e.group === 'lost' && e.into) return `${e.kind} ${e.into.name}`;
  let text = e.text === '()' ? '' : e.text;
  if (text[0] === '(') text = text.slice(1).replace(/\)$/, '');
  text = text.replace(/(\w+: )?\b\d{10,}(, )?/g, '').replace(/\b([a-z]?[0-9a-f]{5})[0-9a-f]{8,}\b/g, '$1…')
    .replace(/(\\x[0-9a-f]{2}|\\0)+/g, '·');
  // Structs in the middle go, the innermost first; and so do names around a struct at the beginning.
  for (let before = ''; before !== text;) { before = text; text = text.replace(/(\w+: )?\w+ \{[^{}]*\}, /g, ''); }
  if (e.kind === 'message') text = text.replace(/^n\d+\.s\d+, /, '');
  const client = e.group === 'clients' && /^(c\d+)(, )?/.exec(text);
  if (client) text = text.slice(client[0].length);
  text = text.replace(/^(\w+\()+(?=\w+ \{)/, '');
  const count = brackets => text.split(brackets).length;
  while (/[)}\] ]$/.test(text) && count(/[)}\]]/) > count(/[({[]/)) text = text.slice(0, -1);
  if (client) return `${client[1]} ${{ request: 'asks', reply: 'hears', more: 'wants more', gone: 'goes away' }[e.kind]} ${text}`;
  return e.kind === 'message' || e.kind === 'sent' ? text : `${e.kind} ${text}`;
}

function draw() {
  const top = view.scrollTop, bottom = top + height;
  const inView = (from, to) => to >= top - 20 && from <= bottom + 20;
  svg.replaceChildren();
  svg.setAttribute('width', width);
  svg.setAttribute('height', height);
  const defs = el(svg, 'defs', {});
  const hatch = el(defs, 'pattern', { id: 'hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
  el(hatch, 'line', { x1: 0, y1: 0, x2: 0, y2: 7, stroke: 'var(--fault)', 'stroke-width': 2.4, opacity: .55 });
  const sheet = el(svg, 'g', { transform: `translate(0 ${-top})` });
  drawBands(sheet, inView, top, bottom);
  drawLanes(sheet, top, bottom);
  if (picked) el(sheet, 'rect', { class: 'row', x: 0, y: picked.y - 9, width, height: 18 });
  const seen = rows.slice(firstRow(top - 30), firstRow(bottom + 30));
  drawTimes(sheet, seen);
  for (const a of arrows) {
    if (!a.shown) continue;
    const [from, to] = ends(a);
    if (inView(Math.min(from[1], to[1]), Math.max(from[1], to[1]))) drawArrow(sheet, a, from, to);
  }
  drawEvents(sheet, seen);
  const end = total - 30;
  if (inView(end, end)) {
    el(sheet, 'line', { class: 'lane', x1: LEFT, x2: width, y1: end, y2: end });
    el(sheet, 'text', { class: 'soft', x: LEFT + 8, y: end + 16 }, 'Here the run ends.');
  }
  drawHead();
}

function firstRow(y) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].y < y) low = middle + 1; else high = middle;
  }
  return low;
}

function drawBands(into, inView, top, bottom) {
  for (const band of bands) {
    const from = band.from.y, to = band.to ? band.to.y : total - 30;
    if (!inView(from, to)) continue;
    const column = columns[band.node], y = Math.max(from, top - 20), tall = Math.max(2, Math.min(to, bottom + 20) - y);
    const text = { down: 'is down', paused: 'is paused', cut: 'is cut off, from somebody or both ways' }[band.what];
    const rect = band.what === 'cut'
      ? el(into, 'rect', { class: 'cut', x: column.left + 1, y, width: 6, height: tall })
      : el(into, 'rect', { class: band.what === 'down' ? 'down' : 'paused-band', x: column.left + 1, y, width: column.right - column.left - 2, height: tall });
    el(rect, 'title', {}, `n${band.node} ${text}`);
  }
}

// A node that is down has no line, and a paused one has a dotted one.
function drawLanes(into, top, bottom) {
  columns.forEach((column, node) => {
    el(into, 'line', { class: 'grid', x1: column.left, x2: column.left, y1: top, y2: bottom });
    const breaks = bands.filter(b => b.node === node && b.what !== 'cut').sort((a, b) => a.from.i - b.from.i);
    const parts = [];
    let y = TOP;
    for (const b of breaks) {
      parts.push(['', y, b.from.y]);
      y = b.to ? b.to.y : total - 30;
      if (b.what === 'paused') parts.push([' paused', b.from.y, y]);
    }
    parts.push(['', y, total - 30]);
    for (const [kind, from, to] of parts) {
      if (to < top || from > bottom) continue;
      for (const x of column.lanes.concat(column.disk)) {
        el(into, 'line', { class: `lane${x === column.disk ? ' disk' : ''}${kind}`, x1: x, x2: x, y1: Math.max(from, top), y2: Math.min(to, bottom) });
      }
    }
  });
}

const lasting = us => run.steps ? `${us} step${us === 1 ? '' : 's'}` : us < 1000 ? `${us} µs` : us < 1e6 ? `${+(us / 1000).toPrecision(3)} ms` : `${+(us / 1e6).toPrecision(4)} s`;

function drawTimes(into, seen) {
  let lastY = -99, lastAt = -1;
  for (const e of seen) {
    if (e.gap >= 16) {
      const before = rows[rows.indexOf(e) - 1];
      const y = e.y - (rowHeight() + e.gap) / 2 + 3;
      el(into, 'text', { class: 'soft', x: LEFT - 10, y, 'text-anchor': 'end' }, `⋮ ${lasting(e.at - before.at)}`);
      lastY = y;
    }
    if (e.cutAbove) {
      const count = (run.leftOut - run.early).toLocaleString('en');
      el(into, 'text', { class: 'soft', x: LEFT + 8, y: e.y - 16 }, `⋮ ${count} earlier events are left out here`);
    }
    if (e.at !== lastAt && e.y - lastY >= 12) {
      el(into, 'text', { class: 'soft', x: LEFT - 10, y: e.y + 4, 'text-anchor': 'end' }, seconds(e.at));
      lastY = e.y;
      lastAt = e.at;
    }
  }
}

function drawEvents(into, seen) {
  const busy = {};
  const close = rowHeight() < 10.5;
  for (const e of seen) {
    const x = laneX(e.node, e.shard), g = el(into, 'g', { 'data-event': e.i });
    if (e.node < 0) el(g, 'line', { class: 'arrow faults wait', x1: LEFT, x2: width, y1: e.y, y2: e.y });
    if (!e.joined) drawMark(g, e, x, e.y);
    if (picked === e) el(g, 'circle', { class: 'pick', cx: x, cy: e.y, r: 9 });
    // Room for a finger, so to speak.
    el(g, 'circle', { cx: x, cy: e.y, r: 9, fill: 'transparent' });
    const lane = `${e.node}`;
    if (e.joined || (byTime() ? e.y - (busy[lane] ?? -99) < 12 : close)) continue;
    busy[lane] = e.y;
    const right = e.node < 0 ? width : columns[e.node].right;
    const room = Math.floor((right - x - 12) / 5.7), text = brief(e);
    el(g, 'text', { class: `label${e.group === 'faults' || failed(e) ? '' : ' soft'}`, x: x + 10, y: e.y + 3.5 },
      text.length > room ? text.slice(0, Math.max(room - 1, 1)) + '…' : text);
  }
}

// Where an arrow begins and ends. What never arrived ends on its way.
function ends(a) {
  const x1 = laneX(...a.a), x2 = laneX(...a.b), row = Math.max(10, Math.min(rowHeight(), 24));
  const to = a.to ? a.to.y : a.died ? a.died.y : null;
  if (a.lost && leavesWith(a.to)) {
    return [[x1, a.to.y], [x1 + Math.sign(x2 - x1) * Math.min(60, Math.abs(x2 - x1) * .45), a.to.y + row * .7]];
  }
  if (a.from && a.from.kind === 'stalled') {
    return [[x2, a.from.y], [x2, to === null ? a.from.y + row : to]];
  }
  const from = a.from ? a.from.y : to - 2.5 * row, begin = a.from ? x1 : x1 + (x2 - x1) * .55;
  if (to === null) return [[x1, from], [x1 + (x2 - x1) * .45, from + row]];
  const short = 4 * Math.sign(x2 - x1);
  return [[begin, from], [x2 - short, to]];
}

function drawArrow(into, a, [x1, y1], [x2, y2]) {
  const isLit = lit.has(a), isNamed = isLit || $('names').checked;
  const kind = a.lost || a.died ? 'lost' : a.waits || a.late || a.overtaken ? 'late' : a.local ? 'within' : 'messages';
  const g = el(into, 'g', { class: kind + (isLit ? ' lit' : ''), 'data-event': (a.to || a.from).i });
  const bow = x1 === x2 ? 34 : 0;
  const d = bow ? `M${x1} ${y1}C${x1 - bow} ${y1} ${x2 - bow} ${y2} ${x2} ${y2}` : `M${x1} ${y1}L${x2} ${y2}`;
  el(g, 'path', { d, class: `arrow${a.again ? ' again' : a.waits ? ' wait' : ''}` });
  el(el(g, 'path', { d, class: 'hit' }), 'title', {}, a.name + fate(a));
  const end = `translate(${x2} ${y2})`;
  const atSender = a.lost && leavesWith(a.to);
  if (a.died || atSender) el(g, 'path', { d: MARKS.cross, transform: end, class: 'arrow', 'stroke-width': 2 });
  else if (!a.to) el(g, 'circle', { cx: x2, cy: y2, r: 3, class: 'arrow' });
  else {
    const angle = bow ? 0 : Math.atan2(y2 - y1, x2 - x1) * 180 / Math.PI;
    el(g, 'path', { d: 'M1 0L-8-3.4L-8 3.4Z', class: 'head', transform: `${end} rotate(${angle})` });
  }
  if (isNamed || ((atSender || a.late || a.again || a.overtaken) && rowHeight() > 12)) {
    const also = a.lost ? ` ${a.to.kind}` : a.late && !a.waits ? ` +${lasting(a.took)}` : a.again ? ' again' : a.overtaken ? ' overtaken' : '';
    // What is lost at once is named behind its cross, all else on its way.
    const [x, y, anchor] = atSender ? [x2 + 9 * Math.sign(x2 - x1), y2 + 4, x2 < x1 ? 'end' : 'start'] : [(x1 * .55 + x2 * .45), y1 * .55 + y2 * .45 - 3, 'middle'];
    el(g, 'text', { class: 'label', x, y, 'text-anchor': anchor }, ((isNamed ? a.name : '') + also).trim());
  }
}

function fate(a) {
  if (a.died) return ', lost in the crash';
  if (!a.to) return ', has not arrived when the run ends';
  const after = a.took === null ? '' : ` after ${lasting(a.took)}`;
  if (a.to.kind === 'stalled') return `, held up by a partition${after}`;
  if (a.lost) return `, ${a.to.kind}${after}`;
  return `, arrived${after}${a.again ? ', again' : ''}${a.overtaken ? ', overtaken by a later one' : ''}`;
}

function drawHead() {
  el(svg, 'rect', { x: 0, y: 0, width, height: TOP, fill: 'var(--back)' });
  el(svg, 'line', { class: 'grid', x1: 0, x2: width, y1: TOP, y2: TOP });
  el(svg, 'text', { class: 'soft', x: LEFT - 10, y: 32, 'text-anchor': 'end' }, run.steps ? 'step' : 'seconds');
  columns.forEach((column, node) => {
    el(svg, 'text', { x: (column.left + column.right) / 2, y: 17, 'text-anchor': 'middle', 'font-weight': 700, style: 'font-size:13px' }, `n${node}`);
    el(svg, 'text', { class: 'soft', x: column.disk, y: 32, 'text-anchor': 'middle' }, 'node');
    column.lanes.forEach((x, shard) => el(svg, 'text', { class: 'soft', x, y: 32, 'text-anchor': 'middle' }, `s${shard}`));
  });
}
