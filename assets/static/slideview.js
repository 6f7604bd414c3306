/* A whole slide to pan and zoom, with layers drawn over it. What other scripts may rely on:

   Lightbox.slide
     onView(f)             f(view) for every viewer of the page, those that are there and those to come; OpenSeadragon is loaded by then
     inside(feature, x, y) whether a level-0 point lies in a region (holes and several parts count); area(feature) in level-0 px²; bounds(feature) {x, y, width, height}
     link.read()           {slide, x, y, w, r, gene, room} of the page's address, {} where there is none

   view
     viewer                the OpenSeadragon.Viewer;  view.stage its element,  view.panel an element right of the slide (under it on phones; not shown while
                           empty),  view.under an element below the slide and its list of regions
     slide                 the facts of the open slide (props.slide), null before one is open;  view.size {width, height}, level-0 px;  view.mpp µm per level-0 px or null
     props, watch(prop, f) the component's props; f runs when Python has changed that one
     trigger(name, data)   an event for Python: spot, view_changed, regions_changed, slide_opened, scale_said, slide_asked
     addLayer({name, draw(ctx, v), order = 0, legend(ctx, {x, y, width, dark}) → height used}) → layer {redraw(), show(on), shown, remove()}
                           a canvas of its own above the tiles, low order first (regions are 80, the inspector's boxes 90). draw is called with a cleared canvas in each frame in which
                           the view moves and after redraw(); ctx is in screen px (CSS), device pixels are taken care of. legend is for the PNG of the view.
       v = {toScreen(x, y) → [px, py], toSlide(px, py) → [x, y], scale: screen px per level-0 px, rect: {x, y, width, height} that bounds the visible level-0 px,
            width, height: of the stage in screen px, dpr, rotation: degrees, enter(ctx): from here on ctx draws in level-0 px (wrap in save/restore), dark}
     v()                   the same geometry now, outside of a frame
     redraw()              all layers, in the next frame
     on(event, f) → off    "open" facts (also at once, if a slide is open already) · "close" · "click" {x, y, shift} level-0 px, quick clicks with the hand tool only ·
                           "hover" {x, y} or null · "regions" [features] · "chosen" feature or null · "window" {x, y, width, height, scale, rotation} when the view has come to rest ·
                           "mpp" µm or null · "extra" {gene} when the address names another one
     regions               GeoJSON features (QuPath's dialect), level-0 px: Polygon or MultiPolygon, properties {objectType, name, classification {name, color}}
     extra                 {gene} as the address said;  tell({gene}) puts it into the address and the component's value
     addKey(key, text, f)  a key of its own while the slide has the focus (lower case; taken: arrows + - 0 r [ ] f n h b p e v z y c Enter Delete Escape space ?), told in the help
     corner                an element in the lower right of the slide for legends (no pointer events)
     flyTo({x, y, width})  centre and width in level-0 px;  say(sentence) in the line under the slide */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {}), el = L.el;
  const REST_MS = 300, CACHE_BYTES = 192e6, MOST_PIXELS = 4, ASKED_MS = 8000, AHEAD = 48, BOX_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#B8447D", "#7A6A00"], MPP = [0.01, 100];

  /* OpenSeadragon comes with the first viewer of the page; other tabs do without it. */
  let library = null;
  const load = (url) => (library = library || new Promise((done, failed) => {
    if (window.OpenSeadragon) { done(); return; }
    const script = el("script", { src: url }); script.onload = done; script.onerror = () => { library = null; script.remove(); failed(new Error("The viewer's script did not arrive.")); };
    document.head.append(script);
  }));

  L.slideViewer = (element, props, watch, trigger) => {
    const listeners = new Map(), slides = new Map();
    const act = { tool: (name) => view.chooseTool(name), jump: (m) => jump(m), zoom: (f) => zoomBy(f), turn: (d) => turn(d), turnTo: (d) => turnTo(d), overview: () => overview(), full: () => whole(), link: () => copyLink(), picture: () => picture(), mpp: (v) => sayScale(v), retry: () => retry() };
    const chrome = S.chrome(element, props, act), { root, stage } = chrome;
    const emit = (event, data) => (listeners.get(event) || []).slice().forEach((f) => { try { f(data); } catch (error) { console.error(`On ${event}:`, error); } });
    const view = {
      element, props, watch, trigger, stage, panel: chrome.panel, under: chrome.under, corner: chrome.corner,
      viewer: null, slide: null, size: { width: 0, height: 0 }, mpp: null, objective: null, extra: {},
      on(event, f) { listeners.set(event, [...(listeners.get(event) || []), f]); if (event === "open" && view.slide) f(view.slide); return () => listeners.set(event, (listeners.get(event) || []).filter((g) => g !== f)); },
      addLayer: (made) => layers.add(made),
      redraw: () => layers.redraw(),
      v: () => layers.geometry(),
      get layers() { return layers; },
      get regions() { return store.list; },
      tell(fields) { Object.assign(view.extra, fields); note(); },
      say: (text, bad) => chrome.say(text, bad),
      full: () => list.full(),
      flyTo, showRegion, reveal, loaded,
      addKey(name, text, f) { KEYMAP[name] = f; chrome.addKey(name.length === 1 ? name.toUpperCase() : name, text); },
      chooseTool(name) { draw.choose(name); chrome.tool(name); },
    };
    const layers = S.layers(view, el("div", { class: "lb-slide-layers" }));
    const store = S.regionStore(() => { if (list) { list.draw(); chrome.count(store.list.length); told(); } });
    const list = S.regionList(view, store, chrome.regions);
    let viewer = null, draw = null, key = "", rest = 0, asked = null, lastRegions = store.list, failures = 0, checking = 0, saidScale = null, boxLayer = null, seen = true, fitted = true, held = null;
    list.draw(); chrome.enable(false);

    /* ---- starting ---- */
    const empty = () => { root.dataset.state = "empty"; chrome.state(props.empty || "No slide is open."); };
    const begin = async () => {
      chrome.state("Loading the viewer …");
      try { await load(props.osd); } catch (error) { chrome.state(`${error.message} Check the connection.`, begin); return; }
      make(); S.announce(view); open(); ask();
    };
    const phone = () => stage.clientWidth < 520;
    const make = () => {
      /* Measured in Chromium without a GPU, panning at native resolution: the canvas drawer keeps 60 frames a second (p95 17 ms), WebGL needs 150 to 300 ms a frame; fading tiles in
         (blendTime 0.12) costs canvas a p95 of 50 ms; 4 tiles a frame instead of 1 fill a view four times as fast; decoding through ImageBitmap gains nothing. */
      viewer = view.viewer = window.OpenSeadragon({
        element: chrome.osd, prefixUrl: "", showNavigationControl: false, drawer: "canvas", imageSmoothingEnabled: true, placeholderFillStyle: "#eceaee",
        showNavigator: true, navigatorPosition: "TOP_RIGHT", navigatorSizeRatio: phone() ? 0.26 : 0.18, navigatorAutoFade: false, navigatorBackground: "#eceaee", navigatorOpacity: 1, navigatorBorderColor: "transparent", navigatorDisplayRegionColor: "#c2185b",
        minZoomImageRatio: 0.7, maxZoomPixelRatio: MOST_PIXELS, visibilityRatio: 0.25, preserveImageSizeOnResize: true, animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.45, springStiffness: 7, blendTime: 0, immediateRender: false, minScrollDeltaTime: 0, maxTilesPerFrame: 4, imageLoaderLimit: 6, timeout: 30_000, tileRetryMax: 1, tileRetryDelay: 1500,
        gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true, flickEnabled: true, flickMomentum: 0.18, flickMinSpeed: 240 }, gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true, flickEnabled: true }, gestureSettingsTouch: { dblClickDragToZoom: false, flickMomentum: 0.25 },
      });
      viewer.setKeyboardNavEnabled && viewer.setKeyboardNavEnabled(false); viewer.keyboardNavEnabled = false;
      const canvas = viewer.canvas; canvas.append(layers.host); canvas.classList.add("lb-slide-canvas");
      for (const [k, v] of Object.entries({ role: "application", "aria-label": `${props.label}: no slide is open.` })) canvas.setAttribute(k, v);
      draw = S.drawing(view, store); chrome.tool("hand"); boxLayer = view.addLayer({ name: "boxes", order: 90, draw: drawBoxes, legend: boxLegend }); boxes();
      viewer.addHandler("open", () => { const s = props.slide; if (s && `${s.id} ${s.mark}` === key && !view.slide) opened(s); }); // by then OpenSeadragon has been "home"
      viewer.addHandler("update-viewport", () => { layers.all(); frame(); });
      viewer.addHandler("animation-finish", () => { soon(); tiles(); }); viewer.addHandler("animation-start", () => { clearTimeout(idle); if (ahead) ahead.abort(); }); viewer.addHandler("after-resize", () => queueMicrotask(resized)); // OpenSeadragon itself still moves the view after this event
      viewer.addHandler("tile-load-failed", (e) => { if (e.maxReached) { failures += 1; tiles(); clearTimeout(checking); checking = setTimeout(check, 400); } });
      viewer.addHandler("canvas-scroll", wheel);
      viewer.addHandler("canvas-click", (e) => { if (e.quick && !e.preventDefaultAction && draw.tool === "hand" && view.slide) { const v = view.v(); if (v) { const [x, y] = v.toSlide(e.position.x, e.position.y); if (x >= 0 && y >= 0 && x < view.size.width && y < view.size.height) emit("click", { x, y, shift: e.shift }); } } });
      canvas.addEventListener("keydown", onKey); stage.addEventListener("pointermove", hover); stage.addEventListener("pointerleave", () => { over = null; emit("hover", null); frame(); });
    };

    /* ---- a slide ---- */
    const open = () => {
      const s = props.slide;
      if (!viewer) return;
      if (!s || !s.id || !s.levels || !s.levels.length) { if (view.slide) { leave(); if (props.linked) S.link.clear(); } viewer.close(); key = ""; chrome.enable(false); empty(); return; }
      if (`${s.id} ${s.mark}` === key) { view.slide = s; scaleIs(s.mpp); return; } // only its scale or title has changed
      if (view.slide) leave();
      key = `${s.id} ${s.mark}`; root.dataset.state = "opening"; chrome.state("Opening the slide …"); failures = 0;
      const levels = s.levels, n = levels.length - 1, base = s.url, mark = key;
      viewer.tileCache && (viewer.tileCache._maxImageCacheCount = Math.max(100, Math.round((phone() ? CACHE_BYTES / 3 : CACHE_BYTES) / (levels[n].tw * levels[n].th * 4))));
      viewer.open({
        tileSource: {
          width: s.width, height: s.height, tileWidth: levels[n].tw, tileHeight: levels[n].th, minLevel: 0, maxLevel: n,
          getLevelScale: (l) => levels[l].w / s.width, getNumTiles: (l) => new window.OpenSeadragon.Point(levels[l].nx, levels[l].ny), getTileWidth: (l) => levels[l].tw, getTileHeight: (l) => levels[l].th,
          getTileUrl: (l, x, y) => `${base}${l}/${x}_${y}.jpeg`, hasTransparency: () => false,
        },
        error: () => { if (mark === key) { key = ""; root.dataset.state = "failed"; chrome.state("The slide could not be opened.", open); } },
      });
    };
    const opened = (s) => {
      const linked = props.linked ? S.link.read() : {}, saved = slides.get(s.id); // read before anything is put there
      view.slide = s; view.size = { width: s.width, height: s.height }; saidScale = null; root.dataset.state = "open"; root.dataset.slide = s.id;
      lastRegions = null; store.load(saved); lastRegions = store.list; scaleIs(s.mpp); chrome.state(""); chrome.enable(true); chrome.path(s); chrome.overview(true); view.chooseTool("hand"); limits();
      viewer.canvas.setAttribute("aria-label", `${props.label}: ${s.title}. ${s.width.toLocaleString("en")} by ${s.height.toLocaleString("en")} pixels. Press ? for the keys.`);
      viewer.world.getItemAt(0).addHandler("fully-loaded-change", tiles);
      view.extra = {};
      viewer.viewport.setRotation(0, true);
      held = null; if (linked.slide === s.id) { asked = null; held = linked; place(linked); if (linked.gene) view.extra.gene = linked.gene; }
      emit("open", s); emit("mpp", view.mpp); emit("regions", store.list); if (view.extra.gene) emit("extra", view.extra); if (props.focus) focus();
      boxes(); fitted = isFitted(); note(); tiles(); trigger("slide_opened", { id: s.id, ...(windowNow() || {}) });
    };
    const leave = () => { if (props.linked && S.link.read().slide === view.slide.id) S.link.clear(); /* or the address would ask for this one again */ slides.set(view.slide.id, store.save()); emit("close"); view.slide = null; boxes(); chrome.place(""); chrome.path(null); chrome.tiles("", ""); chrome.mpp(false); };

    /* A link may name another slide than the one that is open: Python is asked for it, and until it is there the address stays as it is. */
    const ask = () => {
      const { slide: id, gene = "", room } = props.linked ? S.link.read() : {};
      if (!id || (view.slide && view.slide.id === id) || (room && room !== roomOf())) return;
      const mine = (asked = { id }); setTimeout(() => { if (asked === mine) { asked = null; note(); } }, ASKED_MS); trigger("slide_asked", { id, gene });
    };
    const roomOf = () => { const tab = element.closest("[id^=room_]"); return tab ? tab.id.slice(5) : ""; };
    const place = ({ x, y, w, r }) => {
      const { viewport } = viewer, item = viewer.world.getItemAt(0);
      if (r) viewport.setRotation(r, true);
      if (w > 0) viewport.zoomTo(item.imageToViewportZoom(stage.clientWidth / w), null, true);
      if (x !== undefined && y !== undefined) viewport.panTo(item.imageToViewportCoordinates(x, y), true);
      viewport.applyConstraints(true);
    };
    const onHash = () => { if (!props.linked) return; const linked = S.link.read(); if (view.slide && linked.slide === view.slide.id) { place(linked); if ((linked.gene || "") !== (view.extra.gene || "")) { view.extra.gene = linked.gene || ""; emit("extra", view.extra); } } else ask(); };
    addEventListener("hashchange", onHash);

    /* ---- scale ---- */
    const scaleIs = (mpp) => {
      const fromFile = Number.isFinite(mpp) && mpp > 0 ? mpp : null, now = saidScale || fromFile;
      if (fromFile && saidScale && fromFile !== saidScale) saidScale = fromFile; // the server knows better
      view.mpp = now; view.objective = S.objective(now, props.slide.magnification); chrome.mpp(!fromFile || Boolean(saidScale), saidScale); limits(); list.draw(); if (draw) draw.redraw(); frame(); emit("mpp", now);
    };
    const sayScale = (text) => {
      const mpp = +text;
      if (!(mpp >= MPP[0] && mpp <= MPP[1])) { chrome.say(`A pixel of a microscope's slide measures between ${MPP[0]} and ${MPP[1]} µm; give such a number.`, true); return; }
      saidScale = mpp; scaleIs(mpp); chrome.say(`One pixel is taken as ${mpp} µm.`); note(); trigger("scale_said", { id: view.slide.id, mpp });
    };

    /* ---- moving ---- */
    const item = () => viewer && viewer.world.getItemAt(0);
    const limits = () => { if (!item()) return; const { viewport } = viewer, at = (z) => item().viewportToImageZoom(z); chrome.jumps(view.objective, at(viewport.getMinZoom()), at(viewport.getMaxZoom())); };
    /* What was the whole slide stays the whole slide, and what a link showed stays that until somebody moves it; any other view keeps its magnification. */
    const resized = () => { if (!view.slide || !stage.clientWidth) return; if (fitted) viewer.viewport.goHome(true); else if (held) place(held); limits(); soon(); };
    for (const event of ["pointerdown", "wheel", "keydown"]) root.addEventListener(event, () => { held = null; }, { capture: true, passive: true });
    const isFitted = () => { const v = viewer.viewport, home = v.getHomeBounds().getCenter(), now = v.getCenter(); return Math.abs(v.getZoom() / v.getHomeZoom() - 1) < 0.01 && Math.abs(now.x - home.x) < 0.01 && Math.abs(now.y - home.y) < 0.01; };
    const jump = (m) => {
      if (!item()) return;
      if (m === "fit") { viewer.viewport.goHome(); return; }
      viewer.viewport.zoomTo(item().imageToViewportZoom(m === "own" ? 1 : m / view.objective)); viewer.viewport.applyConstraints();
    };
    const zoomBy = (f) => { if (item()) { viewer.viewport.zoomBy(f); viewer.viewport.applyConstraints(); } };
    const turnTo = (d) => { if (item()) { viewer.viewport.setRotation(d); viewer.viewport.applyConstraints(); } };
    const turn = (d) => turnTo(Math.round(viewer.viewport.getRotation() + d));
    const panBy = (dx, dy) => { viewer.viewport.panBy(viewer.viewport.deltaPointsFromPixels(new window.OpenSeadragon.Point(dx, dy))); viewer.viewport.applyConstraints(); };
    /* Wheel and trackpad: as far as the finger went, around the pointer. */
    const wheel = (e) => {
      const o = e.originalEvent, px = o.deltaY * (o.deltaMode === 1 ? 33 : o.deltaMode === 2 ? 400 : 1), power = -px * (o.ctrlKey ? 0.009 : 0.0021);
      e.preventDefaultAction = true; if (!item()) return;
      viewer.viewport.zoomBy(Math.exp(Math.min(0.7, Math.max(-0.7, power))), viewer.viewport.pointFromPixel(e.position, true)); viewer.viewport.applyConstraints();
    };
    /* A page that is being scrolled is not caught when the slide comes under the pointer. */
    let scrolled = 0;
    addEventListener("wheel", (e) => { const now = performance.now(); if (!stage.contains(e.target)) scrolled = now; else if (now - scrolled < 300) { scrolled = now; e.stopPropagation(); } }, { capture: true, passive: true });
    function flyTo({ x, y, width }) { if (!item() || !(width > 0)) return; const { viewport } = viewer; viewport.zoomTo(item().imageToViewportZoom(stage.clientWidth / width)); viewport.panTo(item().imageToViewportCoordinates(x, y)); viewport.applyConstraints(); }
    function showRegion(f) { const b = S.bounds(f), v = view.v(); if (v) flyTo({ x: b.x + b.width / 2, y: b.y + b.height / 2, width: Math.max(b.width, (b.height * v.width) / v.height, 8) * 1.25 }); }
    function reveal([x, y]) { const v = view.v(); if (!v) return; const [px, py] = v.toScreen(x, y); if (px < 20 || py < 20 || px > v.width - 20 || py > v.height - 20) viewer.viewport.panTo(item().imageToViewportCoordinates(x, y)); }
    const focus = () => { const f = props.focus; if (f && view.slide && Number.isFinite(f.x) && Number.isFinite(f.y)) flyTo({ x: f.x, y: f.y, width: f.width || view.v().rect.width }); };

    /* ---- keys ---- */
    const half = () => Math.round(Math.min(stage.clientWidth, stage.clientHeight) / 2);
    const KEYMAP = {
      ArrowLeft: (e) => panBy(e.shiftKey ? -half() : -60, 0), ArrowRight: (e) => panBy(e.shiftKey ? half() : 60, 0), ArrowUp: (e) => panBy(0, e.shiftKey ? -half() : -60), ArrowDown: (e) => panBy(0, e.shiftKey ? half() : 60),
      "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), _: () => zoomBy(1 / 1.5), 0: () => jump("fit"), r: (e) => turn(e.shiftKey ? -90 : 90), "[": () => turn(-5), "]": () => turn(5),
      f: () => whole(), n: () => overview(), h: () => view.chooseTool("hand"), b: () => view.chooseTool("rectangle"), p: () => view.chooseTool("polygon"), e: () => view.chooseTool("edit"), v: () => list.fromView(), z: (e) => list.step(!e.shiftKey), y: () => list.step(false), "?": () => chrome.showHelp(!chrome.helpOpen()),
    };
    const onKey = (e) => {
      if (e.altKey || !item() || ((e.ctrlKey || e.metaKey) && !/^[zy]$/i.test(e.key))) return;
      if (e.key === "Escape" && chrome.helpOpen()) { chrome.showHelp(false); e.preventDefault(); return; }
      const f = KEYMAP[e.key.length === 1 ? e.key.toLowerCase() : e.key];
      if (draw.key(e)) e.preventDefault(); else if (f) { e.preventDefault(); f(e); }
      e.stopPropagation();
    };

    /* ---- overview, full screen, link, picture ---- */
    const overview = () => { if (!viewer || !viewer.navigator) return; const on = viewer.navigator.element.style.display === "none"; viewer.navigator.element.style.display = on ? "" : "none"; chrome.overview(on); };
    const whole = () => {
      if (document.fullscreenElement) { document.exitFullscreen(); return; }
      if (root.classList.contains("lb-slide-whole")) { chrome.full(false); return; }
      chrome.full(true); // phones without the full-screen interface get the whole window
      if (root.requestFullscreen) root.requestFullscreen().catch(() => {});
    };
    document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) chrome.full(false); });
    root.addEventListener("keydown", (e) => { if (e.key === "Escape" && root.classList.contains("lb-slide-whole") && !document.fullscreenElement) chrome.full(false); });
    const copyLink = async () => {
      note();
      try { await navigator.clipboard.writeText(S.link.url()); chrome.say(view.slide.public ? "The link to this view is in the clipboard." : "The link to this view is in the clipboard. It works in this browser only, and as long as the slide is kept here."); } catch { chrome.address(S.link.url()); }
    };
    const picture = async () => { chrome.say("Making the picture …"); try { await S.shot(view, props.note || ""); chrome.say("The view was saved as PNG."); } catch (error) { chrome.say(error.message, true); } };

    /* ---- what is shown while it moves, and told when it rests ---- */
    let over = null, placed = "", idle = 0;
    const hover = (e) => { const r = chrome.osd.getBoundingClientRect(), v = view.v(); if (!v) return; over = [e.clientX - r.left, e.clientY - r.top]; const [x, y] = v.toSlide(...over); emit("hover", { x, y }); frame(); };
    const frame = () => {
      const v = view.slide && view.v(); if (!v) return;
      const [x, y] = over ? v.toSlide(...over) : v.toSlide(v.width / 2, v.height / 2), out = x < 0 || y < 0 || x >= view.size.width || y >= view.size.height, text = `${over ? "Pointer" : "Centre"} ${out ? "beside the slide" : S.place(x, y, view.mpp, view.size.width)}`;
      if (text !== placed) chrome.place((placed = text));
      chrome.scale(S.scaleBar(view.mpp, v.scale, Math.min(180, v.width / 3)), S.magnification(view.objective, v.scale)); chrome.at(view.objective && view.objective * v.scale); chrome.angle(v.rotation);
    };
    const tiles = () => {
      const one = item(); if (!one || !view.slide) return;
      clearTimeout(idle); if (one.getFullyLoaded() && !failures) idle = setTimeout(prefetch, 250);
      if (failures) chrome.tiles(failures === 1 ? "One tile did not arrive; what lies under it is shown coarser." : `${failures} tiles did not arrive; what lies under them is shown coarser.`, "failed");
      else chrome.tiles(one.getFullyLoaded() ? "All tiles of this view are here." : "Loading tiles …", one.getFullyLoaded() ? "here" : "loading");
      root.dataset.tiles = failures ? "failed" : one.getFullyLoaded() ? "here" : "loading";
    };
    /* While nothing moves, the tiles around the view are brought into the browser's cache, so that the next drag finds them. Only such as cost the server next to nothing. */
    let ahead = null, fetched = new Set();
    const prefetch = async () => {
      const one = item(), v = view.slide && view.v(), s = view.slide; if (!v || s.path !== "native" || (navigator.connection && navigator.connection.saveData)) return;
      const level = Math.max(-1, ...one.getTilesToDraw().flat().map((t) => t.level)), at = s.levels[level]; if (!at || !one.getFullyLoaded()) return;
      const down = at.w / s.width, across = [v.rect.x, v.rect.x + v.rect.width].map((x) => Math.floor((x * down) / at.tw)), along = [v.rect.y, v.rect.y + v.rect.height].map((y) => Math.floor((y * down) / at.th)), wanted = [];
      for (let y = along[0] - 1; y <= along[1] + 1; y += 1) for (let x = across[0] - 1; x <= across[1] + 1; x += 1) if ((x < across[0] || x > across[1] || y < along[0] || y > along[1]) && x >= 0 && y >= 0 && x < at.nx && y < at.ny) wanted.push(`${s.url}${level}/${x}_${y}.jpeg`);
      if (fetched.size > 5000) fetched = new Set();
      const stop = (ahead = new AbortController()); root.dataset.ahead = "loading";
      for (const url of wanted.filter((u) => !fetched.has(u)).slice(0, AHEAD)) {
        if (stop.signal.aborted) return;
        try { await (await fetch(url, { signal: stop.signal, priority: "low", credentials: "same-origin" })).arrayBuffer(); fetched.add(url); } catch { return; }
      }
      root.dataset.ahead = "done";
    };
    const check = async () => { // tiles fail one by one; whether the slide itself is gone, its facts tell
      const s = view.slide; if (!s) return;
      try {
        const answer = await fetch(`lightbox/slides/${encodeURIComponent(s.id)}/about`, { cache: "no-store", credentials: "same-origin" });
        if (s !== view.slide || answer.ok) return;
        let said = ""; try { said = (await answer.json()).detail; } catch { /* not ours */ }
        chrome.say(typeof said === "string" && said ? said : "The slide is not to be had at the moment; try again.", true);
      } catch { if (s === view.slide) chrome.say("The server does not answer; what has arrived stays here.", true); }
    };
    const retry = () => { failures = 0; chrome.say(""); viewer.world.resetItems(); tiles(); };
    function loaded(most) { const one = item(); return one && !one.getFullyLoaded() ? new Promise((done) => { const end = setTimeout(done, most); one.whenFullyLoaded(() => { clearTimeout(end); requestAnimationFrame(() => requestAnimationFrame(done)); }); }) : Promise.resolve(); }
    const windowNow = () => { const v = view.slide && view.v(); return v && { ...v.rect, scale: v.scale, rotation: v.rotation }; };
    const rounded = (w) => ({ x: Math.round(w.x), y: Math.round(w.y), width: Math.round(w.width), height: Math.round(w.height) });
    /* The address and the component's value, without an event. */
    const note = () => {
      const v = view.slide && view.v(); if (!v) return;
      props.value = { slide: view.slide.id, window: rounded(v.rect), scale: +v.scale.toPrecision(6), rotation: Math.round(v.rotation * 10) / 10, regions: store.list, gene: view.extra.gene || "" };
      if (!props.linked || asked || !seen) return;
      const [x, y] = v.toSlide(v.width / 2, v.height / 2); S.link.put({ slide: view.slide.id, x, y, w: v.width / v.scale, r: v.rotation || undefined, gene: view.extra.gene, room: roomOf() });
    };
    const soon = () => { clearTimeout(rest); rest = setTimeout(() => { const w = windowNow(); if (!w) return; fitted = isFitted(); note(); emit("window", w); trigger("view_changed", { ...rounded(w), scale: w.scale, rotation: w.rotation }); }, REST_MS); };
    const told = () => { if (!lastRegions) return; if (store.list !== lastRegions) { lastRegions = store.list; emit("regions", store.list); note(); trigger("regions_changed", { count: store.list.length }); } else emit("chosen", store.chosen); };

    /* ---- fields of the inspector ---- */
    let boxesOf = props.slide && props.slide.id; // fields belong to the slide they came with
    const fields = () => (!view.slide || view.slide.id !== boxesOf ? [] : props.boxes || []).filter((b) => Array.isArray(b) && b.length >= 4 && b.slice(0, 4).every(Number.isFinite));
    const boxes = () => { const list = fields(); chrome.boxes(list.map((b, i) => [b[4] || "", BOX_COLOURS[i % BOX_COLOURS.length]])); if (boxLayer) boxLayer.redraw(); };
    const drawBoxes = (ctx, v) => fields().forEach(([x, y, w, h, label], i) => {
      const colour = BOX_COLOURS[i % BOX_COLOURS.length], corners = [[x, y], [x + w, y], [x + w, y + h], [x, y + h]].map((p) => v.toScreen(...p));
      ctx.beginPath(); corners.forEach((p, k) => (k ? ctx.lineTo(...p) : ctx.moveTo(...p))); ctx.closePath(); ctx.lineJoin = "round";
      ctx.strokeStyle = "rgba(255,255,255,.9)"; ctx.lineWidth = 5; ctx.stroke(); ctx.strokeStyle = colour; ctx.lineWidth = 2.5; ctx.stroke();
      if (label && w * v.scale > 46) { const left = Math.min(...corners.map((p) => p[0])), top = Math.min(...corners.map((p) => p[1])); ctx.font = "600 12px system-ui, sans-serif"; const wide = ctx.measureText(label).width + 10; ctx.fillStyle = colour; ctx.fillRect(left - 1, top - 17, wide, 17); ctx.fillStyle = "#fff"; ctx.fillText(label, left + 4, top - 4); }
    });
    const boxLegend = (ctx, { x, y, width }) => {
      let left = x; const list = fields().filter((b) => b[4]); ctx.font = "13px system-ui, sans-serif"; let top = y;
      list.forEach((b, i) => { const w = ctx.measureText(b[4]).width + 36; if (left > x && left + w > x + width) { left = x; top += 20; } ctx.strokeStyle = BOX_COLOURS[i % BOX_COLOURS.length]; ctx.lineWidth = 2.5; ctx.strokeRect(left + 1, top + 2, 12, 12); ctx.fillText(b[4], left + 20, top + 13); left += w; });
      return list.length ? top + 20 - y : 0;
    };

    watch("slide", open); watch("boxes", () => { boxesOf = props.slide && props.slide.id; boxes(); }); watch("focus", focus); watch("said", () => { if (props.said) { asked = null; chrome.say(props.said, true); note(); } else chrome.say(""); });
    L.onTheme(() => layers.redraw());
    new ResizeObserver(() => { const now = stage.clientWidth > 0; if (now !== seen && props.linked) { seen = now; if (!now) S.link.clear(); else note(); } seen = now; }).observe(stage);
    begin();
  };
})();
