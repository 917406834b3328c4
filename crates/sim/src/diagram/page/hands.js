// ---- What is picked ----

// What leaves with an event: its own, and what its step sent.
function leaves(e) {
  const all = [...e.out];
  for (let i = e.i + 1; e.kind !== 'sent' && i < events.length && events[i].at === e.at; i++) {
    const next = events[i];
    if (next.node !== e.node || next.shard !== e.shard) continue;
    if (next.kind !== 'sent' && groupOf[next.kind] !== 'lost') break;
    all.push(...next.out.filter(a => a !== next.into));
    if (next.into && !next.into.from) all.push(next.into);
  }
  return all;
}

function pick(e, pin) {
  picked = e;
  if (pin !== undefined) pinned = pin;
  lit = new Set(e ? leaves(e).concat(e.into || []) : []);
  tell();
  draw();
}

function tag(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function jump(text, e) {
  const button = tag('button', text);
  button.onclick = () => { pick(e, true); reveal(e); view.focus(); };
  return button;
}

function tell() {
  const e = picked;
  panel.replaceChildren();
  if (!e) return legend();
  panel.append(tag('h2', `${e.kind} · ${place(e.node, e.shard)} · ${moment(e.at)}`, failed(e) ? 'faults' : e.group));
  const before = events.slice(0, e.i).reverse().find(x => x.node === e.node && x.shard === e.shard);
  if (before) panel.append(tag('div', `${lasting(e.at - before.at)} after what came before it here`, 'soft'));
  panel.append(tag('h3', 'What'), tag('pre', e.text));
  if (e.into) {
    panel.append(tag('h3', 'Which message'));
    const text = e.into.name + fate(e.into);
    panel.append(e.into.from ? jump(`← ${text}`, e.into.from) : tag('div', `${text}; sent before what is kept`));
  }
  const out = leaves(e);
  if (out.length) panel.append(tag('h3', e.kind === 'sent' ? 'Which message' : e.kind === 'stalled' ? 'Later' : 'What it sent'));
  for (const a of out) panel.append(jump(`→ ${a.name}${fate(a)}`, a.to || a.from));
  const client = /^\(?(c\d+)\b/.exec(e.text);
  if (client && e.group === 'clients') {
    const same = events.filter(x => x !== e && x.group === 'clients' && new RegExp(`^\\(?${client[1]}\\b`).test(x.text));
    if (same.length) panel.append(tag('h3', `Client ${client[1]}`));
    for (const x of same.slice(0, 8)) panel.append(jump(`${x.i < e.i ? '←' : '→'} ${x.kind}, ${lasting(Math.abs(x.at - e.at))} ${x.i < e.i ? 'before' : 'later'}`, x));
  }
  if (e.now || e.was) {
    panel.append(tag('h3', e.was ? `What it changed in ${place(e.node, e.shard)}` : `State of ${place(e.node, e.shard)} afterwards`));
    for (const [text, name] of [[e.now, 'now'], [e.was, 'was']]) {
      if (text) for (const line of text.split('\n')) panel.append(tag('pre', line, name));
    }
  } else if (e.shard >= 0 && !['sent', 'unsent', 'reply', 'lost', 'dropped', 'stalled'].includes(e.kind)) {
    panel.append(tag('h3', 'It changed nothing in the state.'));
  }
}

function legend() {
  panel.append(tag('h2', 'How to read it'));
  panel.append(tag('p', 'Time runs down. Each node is a column: on its thin line is what concerns the node as a whole, on the others what its shards are given. What a step sends leaves from its mark.'));
  const list = tag('dl');
  const sample = (drawIt, text) => {
    const dt = tag('dt'), picture = document.createElementNS(NS, 'svg');
    picture.setAttribute('width', 34); picture.setAttribute('height', 18);
    drawIt(picture);
    dt.append(picture);
    list.append(dt, tag('dd', text));
  };
  const arrow = (kind, extra, end) => into => {
    const g = el(into, 'g', { class: kind });
    el(g, 'path', { d: 'M3 4L28 14', class: `arrow ${extra}` });
    el(g, 'path', end === 'cross' ? { d: MARKS.cross, class: 'arrow', transform: 'translate(26 13) scale(.8)' } : { d: 'M1 0L-8-3.4L-8 3.4Z', class: 'head', transform: 'translate(29 14.4) rotate(22)' });
  };
  const mark = (kind, group, text = '') => into => drawMark(into, { kind, group, text }, 16, 9);
  sample(arrow('messages', ''), run.steps ? 'a message, with the step in which it was sent' : 'a message; its name is that of its line in a schedule');
  sample(arrow('within', ''), 'between shards of a node');
  sample(arrow('late', ''), 'late, or overtaken by a later one');
  sample(arrow('messages', 'again'), 'arrives again');
  sample(arrow('late', 'wait'), 'held up by a partition');
  sample(arrow('lost', '', 'cross'), 'lost');
  sample(mark('request', 'clients'), 'a client asks');
  sample(mark('reply', 'clients'), 'it is answered');
  sample(mark('timer', 'timers'), 'a timer');
  sample(mark('loaded', 'storage'), 'loaded or scanned');
  sample(mark('durable', 'storage'), 'durable, or written to disk');
  sample(mark('write', 'storage', 'false)'), 'it failed');
  sample(mark('up', 'links'), 'a connection comes');
  sample(mark('down', 'links'), 'a connection goes, or is refused');
  sample(mark('crash', 'faults'), 'a crash; the line is broken while the node is down');
  sample(mark('boot', 'faults'), 'a boot, and the start of its shards');
  sample(mark('pause', 'faults'), 'another fault');
  sample(into => el(into, 'rect', { class: 'paused-band', x: 2, y: 1, width: 30, height: 16 }), 'the node is paused, its line dotted');
  sample(into => el(into, 'rect', { class: 'cut', x: 13, y: 1, width: 6, height: 16 }), 'the node is cut off from somebody');
  panel.append(list);
  const keys = tag('p');
  const parts = [['↑'], ['↓'], ' from event to event, ', ['←'], ' to the sender, ', ['→'], ' to the arrival, ', ['Esc'], ' back here. A click holds what it hits.'];
  keys.append(...parts.map(part => typeof part === 'string' ? part : tag('kbd', part[0])));
  panel.append(keys, tag('p', 'Find: words that an event must have, and with a minus, such as -heartbeat, must not have.'));
}

function reveal(e) {
  if (e.y < view.scrollTop + TOP + 30 || e.y > view.scrollTop + height - 30) view.scrollTop = e.y - height / 2;
}

// ---- Hands ----

for (const group in GROUPS) {
  const label = tag('label'), box = tag('input'), picture = document.createElementNS(NS, 'svg');
  box.type = 'checkbox'; box.checked = true; box.id = 'on-' + group;
  const kind = { lost: 'lost', clients: 'request', storage: 'durable', links: 'down', faults: 'pause' }[group] || GROUPS[group].at(-1);
  drawMark(picture, { kind, group, text: '' }, 7, 7);
  label.append(box, picture, TOLD[group]);
  $('groups').append(label);
}

function layout() {
  const middle = picked || rows[firstRow(view.scrollTop + height / 2)], before = middle && middle.y - view.scrollTop;
  height = view.clientHeight;
  placeColumns();
  placeRows();
  spacer.style.height = `${Math.max(0, total - height)}px`;
  if (middle) view.scrollTop = middle.y - before;
  draw();
}

const under = target => {
  const g = target.closest && target.closest('[data-event]');
  return g ? events[+g.dataset.event] : null;
};
svg.addEventListener('mousemove', event => {
  const e = under(event.target);
  if (!pinned && e && e !== picked) pick(e);
});
svg.addEventListener('click', event => { const e = under(event.target); pick(e, !!e); });
view.addEventListener('scroll', draw);
view.addEventListener('keydown', event => {
  let to = null;
  const at = picked ? rows.findIndex(e => e.i >= picked.i) : firstRow(view.scrollTop + TOP) - 1;
  if (event.key === 'ArrowDown') to = rows[picked && rows[at] !== picked ? at : at + 1];
  else if (event.key === 'ArrowUp') to = rows[(at < 0 ? rows.length : at) - 1];
  else if (event.key === 'ArrowLeft') to = picked && picked.into && picked.into.from;
  else if (event.key === 'ArrowRight') to = picked && (leaves(picked).find(a => a.to && a.to !== picked) || {}).to;
  else if (event.key === 'Escape') return pick(null, false);
  else return;
  event.preventDefault();
  if (to) { pick(to, true); reveal(to); }
});
if (run.steps) $('space').parentElement.style.display = 'none';
$('form').addEventListener('input', layout);
$('form').addEventListener('submit', event => event.preventDefault());
addEventListener('resize', layout);

// The end is where it went wrong; an address that ends in #e12 begins at event 12.
layout();
view.scrollTop = total;
tell();
const start = /^#e(\d+)$/.exec(location.hash);
if (start && events[+start[1]]) { pick(events[+start[1]], true); reveal(picked); }
draw();
