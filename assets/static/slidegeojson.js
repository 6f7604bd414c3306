/* Regions as QuPath writes and reads them: GeoJSON features in level-0 pixels. Reading says in one sentence what is wrong with a file; nothing is taken from such a one. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {});
  const MOST_BYTES = 20e6, MOST_CORNERS = 200_000, NAME_CHARS = 80;

  /* ---- geometry ---- */
  const polygons = (feature) => (feature.geometry.type === "Polygon" ? [feature.geometry.coordinates] : feature.geometry.coordinates);
  const ringArea = (ring) => { let sum = 0; for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) sum += ring[j][0] * ring[i][1] - ring[i][0] * ring[j][1]; return Math.abs(sum) / 2; };
  const crosses = (ring, x, y) => {
    let odd = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
      const [xi, yi] = ring[i], [xj, yj] = ring[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
    }
    return odd;
  };
  S.polygons = polygons;
  S.inside = (feature, x, y) => polygons(feature).some((rings) => rings.reduce((odd, ring) => odd !== crosses(ring, x, y), false));
  S.area = (feature) => polygons(feature).reduce((sum, [outer, ...holes]) => sum + ringArea(outer) - holes.reduce((s, hole) => s + ringArea(hole), 0), 0);
  S.bounds = (feature) => {
    let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
    for (const rings of polygons(feature)) for (const [x, y] of rings[0]) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
    return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  };
  S.corners = (feature) => polygons(feature).reduce((sum, rings) => sum + rings.reduce((n, ring) => n + ring.length - 1, 0), 0);

  /* ---- making ---- */
  const uuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID(); // there on secure pages only
    const b = crypto.getRandomValues(new Uint8Array(16)); b[6] = (b[6] & 15) | 64; b[8] = (b[8] & 63) | 128;
    const hex = [...b].map((v) => v.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
  const round = (v) => Math.round(v * 100) / 100;
  const closed = (points) => { const ring = points.map(([x, y]) => [round(x), round(y)]); ring.push([...ring[0]]); return ring; };
  S.region = (points, name, color) => ({ type: "Feature", id: uuid(), geometry: { type: "Polygon", coordinates: [closed(points)] }, properties: { objectType: "annotation", name, classification: { name, color } } });
  S.closedRing = closed;
  S.writeRegions = (features) => JSON.stringify({ type: "FeatureCollection", features }, null, 1);

  /* ---- reading ---- */
  const refuse = (sentence) => { throw new Error(sentence); };
  const called = (name, i) => (name ? `“${name}”` : `number ${i + 1}`);
  const listOf = (data) => {
    if (Array.isArray(data)) return data;
    if (data && data.type === "FeatureCollection" && Array.isArray(data.features)) return data.features;
    if (data && data.type === "Feature") return [data];
    return refuse("This JSON holds no regions: a GeoJSON FeatureCollection is expected, as QuPath exports it.");
  };
  const colour = (properties) => {
    const kind = properties.classification || {}, given = [kind.color, properties.color].find((c) => Array.isArray(c) && c.length >= 3 && c.every((v) => Number.isFinite(v)));
    if (given) return given.slice(0, 3).map((v) => Math.min(255, Math.max(0, Math.round(v))));
    const packed = [kind.colorRGB, properties.colorRGB].find(Number.isInteger); // QuPath before 0.3
    return packed === undefined ? null : [(packed >> 16) & 255, (packed >> 8) & 255, packed & 255];
  };
  const ring = (points, who) => {
    if (!Array.isArray(points)) refuse(`Region ${who} has no list of corners.`);
    const made = [];
    for (const p of points) {
      if (!Array.isArray(p) || !Number.isFinite(p[0]) || !Number.isFinite(p[1])) refuse(`Region ${who} has a corner that is not a pair of numbers.`);
      const q = [round(p[0]), round(p[1])], last = made[made.length - 1];
      if (!last || last[0] !== q[0] || last[1] !== q[1]) made.push(q);
    }
    if (made.length > 1 && made[0][0] === made[made.length - 1][0] && made[0][1] === made[made.length - 1][1]) made.pop();
    if (made.length < 3) refuse(`Region ${who} has fewer than three corners.`);
    return closed(made);
  };
  const geometry = (given, who) => {
    if (!Array.isArray(given.coordinates) || !given.coordinates.length) refuse(`Region ${who} has no corners.`);
    const parts = given.type === "Polygon" ? [given.coordinates] : given.coordinates;
    const made = parts.map((rings) => { if (!Array.isArray(rings) || !rings.length) refuse(`Region ${who} has a part without corners.`); return rings.map((one) => ring(one, who)); });
    return made.length === 1 ? { type: "Polygon", coordinates: made[0] } : { type: "MultiPolygon", coordinates: made };
  };
  const text = (v) => (typeof v === "string" ? v.replace(/[\u0000-\u001f\u007f]/g, " ").trim().slice(0, NAME_CHARS) : "");

  /* → {features, note}. size: of the slide; room: how many regions still fit; palette(i): a colour for one without. Throws an Error whose message is the sentence. */
  S.readRegions = (content, { size, room, most, palette }) => {
    if (content.length > MOST_BYTES) refuse(`The file is larger than ${MOST_BYTES / 1e6} MB; export only the regions you need.`);
    let data;
    try { data = JSON.parse(content); } catch { refuse("This is no GeoJSON file: it cannot be read as JSON."); }
    const given = listOf(data).filter((f) => f && typeof f === "object" && f.geometry && typeof f.geometry === "object");
    const areas = given.filter((f) => f.geometry.type === "Polygon" || f.geometry.type === "MultiPolygon"), kind = (f) => text((f.properties || {}).objectType || (f.properties || {}).object_type);
    const drawn = areas.filter((f) => kind(f) === "annotation"), chosen = drawn.length ? drawn : areas.filter((f) => kind(f) !== "detection" && kind(f) !== "cell");
    if (!chosen.length) refuse(given.length ? "The file holds no regions with an area, only points, lines or detections." : "The file holds no regions.");
    if (chosen.length > room) refuse(`The file has ${chosen.length} regions and ${room} of ${most} places are free; nothing was taken.`);
    const features = chosen.map((f, i) => {
      const properties = f.properties && typeof f.properties === "object" && !Array.isArray(f.properties) ? f.properties : {}, own = text(properties.name), kindName = text((properties.classification || {}).name);
      const name = own || kindName || `Region ${most - room + i + 1}`, color = colour(properties) || palette(most - room + i);
      return { type: "Feature", id: typeof f.id === "string" && f.id.length <= 64 ? f.id : uuid(), geometry: geometry(f.geometry, called(own || kindName, i)), properties: { ...properties, objectType: "annotation", name, classification: { name: kindName || name, color } } };
    });
    if (features.reduce((sum, f) => sum + S.corners(f), 0) > MOST_CORNERS) refuse(`The regions have more than ${MOST_CORNERS.toLocaleString("en")} corners together; simplify their outlines first.`);
    features.forEach((f, i) => { const b = S.bounds(f); if (b.x >= size.width || b.y >= size.height || b.x + b.width <= 0 || b.y + b.height <= 0) refuse(`Region ${called(f.properties.name, i)} lies outside this slide (${size.width.toLocaleString("en")} × ${size.height.toLocaleString("en")} px); the file belongs to another one.`); });
    const left = listOf(data).length - features.length;
    return { features, note: left ? `${left.toLocaleString("en")} others in the file (points, lines, detections) were left out.` : "" };
  };
})();
