/* What is marked on one picture, and its history. Every state is an object that is never changed again; undo goes back to an earlier one.
   A segment: {id, name, runs | null, on, origin, iou, stability, points: [[x, y, 1 | 0]], box | null, asked, found, pick}.
   asked: number of its last question to the server; open: the clicks or the box have changed and no answer has come yet; found: the candidates of the answer; pick: which of them is shown. */
(() => {
  "use strict";
  const L = window.Lightbox, MOST = 64, DEPTH = 200;

  L.promptState = () => {
    let past = [], now = { segments: [], active: null }, future = [], next = 1, questions = 0;
    const step = (state) => { past.push(now); if (past.length > DEPTH) past.shift(); now = state; future = []; };
    const segment = (id = now.active, state = now) => state.segments.find((s) => s.id === id) || null;
    const put = (state, id, part) => ({ ...state, segments: state.segments.map((s) => (s.id === id ? { ...s, ...part } : s)) });
    const fresh = (part) => {
      const id = next;
      next += 1;
      return { runs: null, on: true, origin: "click", iou: null, stability: null, points: [], box: null, ...part, id, name: part.name || `Segment ${id}`, asked: 0, open: !part.runs, found: [], pick: 0 };
    };
    const add = (part) => { const s = fresh(part); return { segments: [...now.segments, s], active: s.id }; };

    const me = {
      get segments() { return now.segments; },
      get active() { return segment(); },
      get activeId() { return now.active; },
      get canUndo() { return past.length > 0; },
      get canRedo() { return future.length > 0; },
      get full() { return now.segments.length >= MOST; },
      /* the active segment waits for an outline that nobody has given yet */
      get waiting() { return now.active !== null && segment().open; },
      reset() { past = []; future = []; now = { segments: [], active: null }; next = 1; },
      /* a question about the active segment: its number goes out with the value and comes back with the answer */
      ask() { questions += 1; now = put(now, now.active, { asked: questions }); return questions; },
      point(x, y, label) { const s = segment(); step(s ? put(now, s.id, { points: [...s.points, [x, y, label]], origin: "click", open: true }) : add({ points: [[x, y, label]] })); },
      box(box) { const s = segment(); step(s && s.runs === null && !s.points.length ? put(now, s.id, { box, open: true }) : add({ box })); },
      brush(runs) { const s = segment(); step(s ? put(now, s.id, { runs, origin: "brush", found: [], pick: 0, iou: null, stability: null, open: false }) : add({ runs, origin: "brush" })); },
      toggle(id) { step(put(now, id, { on: !segment(id).on })); },
      remove(id) { step({ segments: now.segments.filter((s) => s.id !== id), active: now.active === id ? null : now.active }); },
      clear() { if (now.segments.length) step({ segments: [], active: null }); },
      activate(id) { now = { ...now, active: id }; },
      leaf() { const s = segment(), pick = (s.pick + 1) % s.found.length; step(put(now, s.id, { ...s.found[pick], pick })); },
      give(list, replace) {
        const room = replace ? MOST : MOST - now.segments.length, given = list.slice(0, room).map(fresh);
        const open = given.find((s) => s.runs === null);
        step({ segments: [...(replace ? [] : now.segments), ...given], active: open ? open.id : null });
        return given.length;
      },
      /* Put an answer wherever in the history its question stands, so that undo and redo need not ask again. True when it is shown now. */
      answer({ asked, segment: id, found }) {
        const fill = (state) => { const s = segment(id, state); return s && s.asked === asked && s.open ? put(state, id, { ...found[0], found, pick: 0, open: false }) : state; };
        const before = now;
        past = past.map(fill); future = future.map(fill); now = fill(now);
        return now !== before;
      },
      undo() { if (!past.length) return; future.push(now); now = past.pop(); },
      redo() { if (!future.length) return; past.push(now); now = future.pop(); },
    };
    return me;
  };
})();
