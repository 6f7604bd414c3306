/* Where scripts find the slide viewers of the page, and the view in the page's address: #slide=<id>&x=..&y=..&w=..&r=..&gene=..&room=..
   x, y: centre, w: width of the view, all in level-0 pixels; r: rotation in degrees; room: the tab whose viewer it is. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {});
  const NUMBERS = ["x", "y", "w", "r"], WORDS = ["slide", "gene", "room"], ROOM = /^[\w-]{1,60}$/, LONGEST = 200;

  const told = [];
  S.views = [];
  S.onView = (f) => { told.push(f); S.views.forEach((view) => f(view)); };
  S.announce = (view) => { S.views.push(view); told.forEach((f) => f(view)); };

  const read = (hash = location.hash) => {
    const asked = new URLSearchParams(hash.replace(/^#/, "")), found = {};
    if (!asked.get("slide")) return found;
    for (const key of NUMBERS) { const v = asked.get(key); if (v && Number.isFinite(+v)) found[key] = +v; }
    for (const key of WORDS) { const v = asked.get(key); if (v) found[key] = v.slice(0, LONGEST); }
    return found;
  };
  /* The address without the fields that are empty; nothing is added to the browser's history, or "back" would step through every look. */
  const put = (fields) => {
    const all = new URLSearchParams();
    for (const key of ["slide", ...NUMBERS, "gene", "room"]) { const v = fields[key]; if (v !== undefined && v !== null && v !== "") all.set(key, typeof v === "number" ? String(+v.toFixed(key === "r" ? 1 : 0)) : v); }
    const hash = all.get("slide") ? `#${all}` : "";
    if (hash !== location.hash) history.replaceState(history.state, "", hash || location.pathname + location.search);
  };
  S.link = { read, put, clear: () => { if (read().slide) put({}); }, url: () => location.href };

  /* A link leads to the tab whose viewer it was made in. Gradio builds its tabs after this script has run. */
  const toRoom = () => {
    const { room } = read();
    if (!room || !ROOM.test(room)) return;
    let tries = 0;
    const look = () => {
      const tab = document.getElementById(`room_${room}-button`);
      if (!tab) { tries += 1; if (tries < 600) setTimeout(look, 50); return; }
      if (tab.getAttribute("aria-selected") !== "true") tab.click();
    };
    look();
  };
  addEventListener("hashchange", toRoom);
  toRoom();
})();
