'use strict';
// What is in view is drawn anew whenever something changes: thousands of events cost no more than a screenful.
const run = JSON.parse(document.getElementById('run').textContent);
const $ = id => document.getElementById(id);
const view = $('view'), panel = $('panel');

// ---- The run ----

const ADDRESS = /Address \{ node: n(\d+), shard: s(\d+) \}/g;
// A way that was explored has no time: its moments are steps.
const seconds = us => run.steps ? String(us) : `${Math.floor(us / 1e6)}.${String(us % 1e6).padStart(6, '0')}`;
const moment = at => run.steps ? `step ${at}` : `${seconds(at)} s`;

// Kinds by group; each group has a mark, and a box that hides it.
const GROUPS = {
  messages: ['sent', 'message'],
  lost: ['dropped', 'lost', 'stalled', 'unsent'],
  clients: ['request', 'reply', 'more', 'gone'],
  timers: ['timer'],
  storage: ['loaded', 'scanned', 'durable', 'damaged', 'full', 'failed', 'write', 'tidy'],
  links: ['up', 'down', 'refused'],
  faults: ['start', 'crash', 'boot', 'pause', 'resume', 'wipe', 'block', 'slow', 'heal', 'reset', 'weather', 'clock', 'rate'],
};
const TOLD = {
  messages: 'messages', lost: 'lost or held up', clients: 'requests and replies', timers: 'timers',
  storage: 'storage', links: 'connections', faults: 'faults and starts',
};
const groupOf = {};
for (const group in GROUPS) for (const kind of GROUPS[group]) groupOf[kind] = group;

const events = run.events.map(([at, node, shard, kind, text, now, was], i) => {
  kind = run.kinds[kind];
  const group = groupOf[kind] || 'storage';
  text = text.replace(ADDRESS, 'n$1.s$2');
  return { i, at, node, shard, kind, text, now, was, group, out: [], into: null, y: 0, shown: true,
    words: `${kind} ${place(node, shard)} ${text}`.toLowerCase() };
});
const arrows = run.arrows.map(([from, to, n1, s1, n2, s2, at, n]) => ({
  from: events[from], to: events[to], a: [n1, s1], b: [n2, s2], local: n1 === n2,
  // As in a schedule: when it was sent, and which of its link's at that time.
  name: (n ? `${run.steps ? 'step ' : ''}${seconds(at)} ` : '') + (n > 1 ? `#${n} ` : '') + `n${n1}.s${s1}>n${n2}.s${s2}`, n, order: at + n / 1e6,
}));

function place(node, shard) { return node < 0 ? 'all' : shard < 0 ? `n${node}` : `n${node}.s${shard}`; }

// A message is late if it took several times as long as most, and one arrives again if it has before.
(function judge() {
  const took = a => a.to.at - a.from.at;
  const whole = arrows.filter(a => a.from && a.to && a.to.kind === 'message' && !a.local);
  const sorted = whole.map(took).sort((a, b) => a - b);
  const usual = sorted[sorted.length >> 1] || 0;
  const seen = new Set(), last = {};
  for (const a of arrows) {
    a.took = a.from && a.to ? took(a) : null;
    a.lost = a.to ? GROUPS.lost.includes(a.to.kind) && a.to.kind !== 'stalled' : false;
    a.waits = !!(a.to && a.to.kind === 'stalled') || !!(a.from && a.from.kind === 'stalled');
    a.late = !a.lost && !a.local && a.took > Math.max(1000, 4 * usual);
    const arrives = a.to && a.to.kind === 'message' && a.n > 0;
    a.again = arrives && seen.has(a.name);
    const link = String([a.a, a.b]);
    a.overtaken = arrives && !a.again && a.order < (last[link] || 0);
    if (arrives) { seen.add(a.name); last[link] = Math.max(a.order, last[link] || 0); }
    // What was on its way within a node dies with it.
    if (!a.to && a.local && a.from) {
      a.died = events.find(e => e.i > a.from.i && e.kind === 'crash' && e.node === a.a[0]);
    }
    if (a.from) a.from.out.push(a);
    if (a.to) a.to.into = a;
  }
})();

// From when to when a node is down, paused or cut off.
const bands = [];
(function standing() {
  const open = {};
  const begin = (what, node, e) => { open[what + node] = open[what + node] || { what, node, from: e, to: null }; };
  const end = (what, node, e) => {
    const band = open[what + node];
    if (band) { band.to = e; bands.push(band); delete open[what + node]; }
  };
  for (const e of events) {
    if (e.kind === 'crash') { end('paused', e.node, e); begin('down', e.node, e); }
    if (e.kind === 'boot' && e.text.endsWith('true)')) end('down', e.node, e);
    if (e.kind === 'pause' && !open['down' + e.node]) begin('paused', e.node, e);
    if (e.kind === 'resume') end('paused', e.node, e);
    if (e.kind === 'block') { begin('cut', e.node, e); begin('cut', +e.text.slice(1), e); }
    if (e.kind === 'heal') for (let node = 0; node < run.nodes; node++) end('cut', node, e);
  }
  bands.push(...Object.values(open));
})();

// ---- Where things are ----

const TOP = 40, LEFT = 84;
const shards = Array(run.nodes).fill(1);
const seeShard = (node, shard) => { if (node >= 0) shards[node] = Math.max(shards[node], shard + 1); };
events.forEach(e => seeShard(e.node, e.shard));
arrows.forEach(a => { seeShard(...a.a); seeShard(...a.b); });
// Nodes are alike, also those of which nothing is kept.
shards.fill(Math.max(...shards));

let width = 0, height = 0, columns = [], rows = [], total = 0;
let picked = null, pinned = false, lit = new Set();

const laneX = (node, shard) => node < 0 ? LEFT : shard < 0 ? columns[node].disk : columns[node].lanes[shard];

function placeColumns() {
  const lanes = shards.reduce((sum, n) => sum + n + 1, 0);
  width = Math.max(view.clientWidth, LEFT + lanes * 52 + run.nodes * 40);
  const unit = (width - LEFT) / lanes;
  let x = LEFT;
  columns = shards.map(n => {
    const left = x, wide = unit * (n + 1), disk = left + 16, step = (wide - 34) / n;
    x += wide;
    return { left, right: left + wide, disk, lanes: [...Array(n).keys()].map(s => disk + 26 + s * step) };
  });
}

const zoom = () => +$('zoom').value / 100;
const rowHeight = () => 3 * Math.pow(12, zoom()) * 1.75;
const byTime = () => $('space').value === 'time';

const leavesWith = e => e.kind === 'sent' || (!!e.into && e.group === 'lost' && e.node === e.into.a[0] && e.shard === e.into.a[1]);

// Every event has a height; what is hidden has that of what is shown before it.
function placeRows() {
  const wanted = $('find').value.toLowerCase().split(/\s+/).filter(word => word && word !== '-');
  const on = {};
  for (const group in GROUPS) on[group] = $('on-' + group).checked;
  const matches = e => on[e.group] && wanted.every(word => word[0] === '-' ? !e.words.includes(word.slice(1)) : e.words.includes(word));
  const row = rowHeight(), begin = events.length ? events[0].at : 0;
  const span = Math.max(1, run.end - begin), perUs = Math.min(12e6 / span, 1e-5 * Math.pow(1e5, zoom()));
  let y = TOP + 12, last = null;
  rows = [];
  for (const e of events) {
    e.shown = matches(e);
    e.gap = 0;
    if (e.shown) {
      const quiet = last ? e.at - last.at : 0;
      // What a step sends leaves from the step's own mark.
      e.joined = !!last && leavesWith(e) && quiet === 0 && last.node === e.node && last.shard === e.shard;
      if (byTime()) y = TOP + 12 + (e.at - begin) * perUs;
      else if (last && !e.joined) {
        e.gap = quiet > 20000 ? Math.max(row, 16) : quiet > 1000 ? row * 0.5 : 0;
        y += row + e.gap;
      }
      // Between the faults of long ago and what is kept in full.
      e.cutAbove = run.leftOut > run.early && e.i >= run.early && !(last && last.i >= run.early);
      if (e.cutAbove && !byTime()) y += 24;
      rows.push(e);
      last = e;
    }
    e.y = y;
  }
  total = y + 60;
  arrows.forEach(a => { a.shown = a.to ? a.to.shown && on[a.from ? a.from.group : 'messages'] : !!a.from && a.from.shown; });
  const hidden = events.length - rows.length;
  $('shown').textContent = hidden ? `${rows.length} shown, ${hidden} hidden by the boxes below.` : '';
}
