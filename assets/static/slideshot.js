/* The view as a picture to keep: tiles, layers, scale bar; under it the slide's title, what the layers' colours mean, and the note that goes with everything here. All in the browser. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {});
  const PAD = 14, INK = "#1b1e22", PAPER = "#fff";

  const wrapped = (ctx, text, x, y, width) => { // → height used
    let line = "", top = y;
    for (const word of text.split(/\s+/)) { const longer = line ? `${line} ${word}` : word; if (line && ctx.measureText(longer).width > width) { ctx.fillText(line, x, top + 13); top += 18; line = word; } else line = longer; }
    if (line) { ctx.fillText(line, x, top + 13); top += 18; }
    return top - y;
  };
  const bar = (ctx, view, v) => {
    const { px, text } = S.scaleBar(view.mpp, v.scale, Math.min(220, v.width / 3)), x = PAD, y = v.height - PAD;
    ctx.font = "600 14px system-ui, sans-serif"; const w = Math.max(px, ctx.measureText(text).width) + 20;
    ctx.fillStyle = "rgba(255,255,255,.9)"; ctx.fillRect(x, y - 38, w, 38); ctx.fillStyle = INK; ctx.fillRect(x + 10, y - 12, px, 4); ctx.fillText(text, x + 10, y - 19);
  };
  const footer = (ctx, view, v, note) => {
    const width = v.width - 2 * PAD; let y = PAD;
    ctx.fillStyle = INK; ctx.font = "600 15px system-ui, sans-serif"; y += wrapped(ctx, view.slide.title, PAD, y, width);
    const centre = v.toSlide(v.width / 2, v.height / 2), facts = [S.magnification(view.objective, v.scale), view.mpp ? `${+view.mpp.toPrecision(4)} µm a pixel` : "size of a pixel not known", `centre ${S.place(centre[0], centre[1], view.mpp, view.size.width)}`, v.rotation ? `turned by ${Math.round(v.rotation)}°` : ""];
    ctx.font = "13px system-ui, sans-serif"; ctx.fillStyle = "#4a525c"; y += wrapped(ctx, facts.filter(Boolean).join(" · "), PAD, y, width) + 4;
    for (const layer of view.layers.list) if (layer.legend && layer.shown) { ctx.save(); ctx.fillStyle = INK; ctx.strokeStyle = INK; let used = 0; try { used = layer.legend(ctx, { x: PAD, y, width, dark: false }) || 0; } catch (error) { console.error(`Legend of ${layer.name}:`, error); } ctx.restore(); y += used ? used + 6 : 0; }
    ctx.fillStyle = INK; ctx.font = "600 13px system-ui, sans-serif"; y += wrapped(ctx, note, PAD, y, width);
    return y + PAD;
  };
  const canvasOf = (width, height, dpr) => { const canvas = L.el("canvas", { width: Math.round(width * dpr), height: Math.round(height * dpr) }), ctx = canvas.getContext("2d"); ctx.scale(dpr, dpr); return [canvas, ctx]; };

  /* → a canvas with the view as it stands, in device pixels. */
  S.shotCanvas = (view, note) => {
    const v = view.v(), [under, paper] = canvasOf(v.width, 4000, v.dpr); // taller than any legend; cut to what was used
    paper.fillStyle = PAPER; paper.fillRect(0, 0, v.width, 4000);
    const foot = Math.min(4000, footer(paper, view, v, note)), [canvas, ctx] = canvasOf(v.width, v.height + foot, v.dpr);
    ctx.fillStyle = PAPER; ctx.fillRect(0, 0, v.width, v.height + foot);
    ctx.save(); ctx.beginPath(); ctx.rect(0, 0, v.width, v.height); ctx.clip();
    ctx.drawImage(view.viewer.drawer.canvas, 0, 0, v.width, v.height);
    for (const layer of view.layers.list) if (layer.shown) S.guarded(layer, ctx, v);
    ctx.restore();
    bar(ctx, view, v);
    ctx.drawImage(under, 0, 0, under.width, Math.round(foot * v.dpr), 0, v.height, v.width, foot);
    return canvas;
  };
  S.stem = (view) => (view.slide ? view.slide.title : "slide").replace(/^Yours: /, "").replace(/\.[A-Za-z0-9]{1,5}$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 60) || "slide";
  S.download = (blob, name) => { const url = URL.createObjectURL(blob), a = L.el("a", { href: url, download: name }); a.click(); setTimeout(() => URL.revokeObjectURL(url), 10_000); };

  S.shot = async (view, note) => {
    await view.loaded(4000);
    const canvas = S.shotCanvas(view, note), blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    if (!blob) throw new Error("The browser could not make the picture; try a smaller window.");
    S.download(blob, `${S.stem(view)}_view.png`);
  };
})();
