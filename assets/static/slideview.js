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
                           "hover" {x, y} or null · "regions" [features] · "window" {x, y, width, height, scale, rotation} when the view has come to rest ·
                           "mpp" µm or null · "extra" {gene} when the address names another one
     regions               GeoJSON features (QuPath's dialect), level-0 px: Polygon or MultiPolygon, properties {objectType, name, classification {name, color}}
     extra                 {gene} as the address said;  tell({gene}) puts it into the address and the component's value
     flyTo({x, y, width})  centre and width in level-0 px;  say(sentence) in the line under the slide */
