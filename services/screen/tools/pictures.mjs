// Writes the demonstration menu's pictures: every dish is composed of Fluent Emoji (Microsoft, MIT; npm
// @iconify-json/fluent-emoji) and of some foods drawn here, which that set does not have.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { Resvg } from "@resvg/resvg-js";

const require = createRequire(import.meta.url);
const WIDTH = 480;
const HEIGHT = 360;

// Foods drawn here, on a square of 32, in the set's manner: soft gradients, light from the upper right.
const gradient = (id, from, to) => `<linearGradient id="${id}" x1="0" y1="1" x2="1" y2="0"><stop stop-color="${from}"/><stop offset="1" stop-color="${to}"/></linearGradient>`;
const ring = (x, y, r, w) => `<circle cx="${x}" cy="${y}" r="${r}" fill="none" stroke="url(#crust)" stroke-width="${w}"/><circle cx="${x}" cy="${y}" r="${r}" fill="none" stroke="#fff" stroke-opacity=".28" stroke-width="${w / 4}" stroke-dasharray="${r * 1.6} ${r * 9}" transform="rotate(-75 ${x} ${y})"/>`;
const bar = (x, y, w, h, angle, fill) => `<g transform="rotate(${angle} ${x} ${y})"><rect x="${x - w / 2}" y="${y - h / 2}" width="${w}" height="${h}" rx="${h / 2.2}" fill="url(#${fill})"/><rect x="${x - w / 2 + 1.2}" y="${y - h / 2 + 0.7}" width="${w - 2.4}" height="${h / 5}" rx="${h / 10}" fill="#fff" fill-opacity=".3"/></g>`;
const blob = (x, y, s, angle) => `<g transform="translate(${x} ${y}) rotate(${angle}) scale(${s})"><path d="M-4-1C-4-4-1-5 1-4.500S5-3 4.700.500 2 4.500-1 4-4 2-4-1z" fill="url(#crust)"/><path d="M-2.500-1.500C-2-3 0-3.500 1.500-3" stroke="#fff" stroke-opacity=".4" stroke-width=".9" fill="none" stroke-linecap="round"/></g>`;

const glass = (drink, { straw = "#e5484d", ice = true, foam = "", top = "" } = {}) =>
  `<defs>${gradient("drink", drink[0], drink[1])}${gradient("straw", straw, "#ff9a9c")}</defs>` +
  `<path d="M19.200 1.500l2.300.7-3.600 13h-2.300z" fill="url(#straw)"/>` +
  `<path d="M8 8.500h16l-1.700 19.300A2.500 2.500 0 0 1 19.800 30h-7.600a2.500 2.500 0 0 1-2.500-2.200z" fill="#dfeaf2" fill-opacity=".75"/>` +
  `<path d="M8.700 ${foam ? 12 : 10.500}h14.600l-1.500 16.900a1.800 1.800 0 0 1-1.800 1.600h-8a1.800 1.800 0 0 1-1.800-1.600z" fill="url(#drink)"/>` +
  (ice ? `<g fill="#fff" fill-opacity=".55"><rect x="10.500" y="11.300" width="4.600" height="4.600" rx="1" transform="rotate(-12 12.800 13.600)"/><rect x="16.600" y="12.300" width="4.400" height="4.400" rx="1" transform="rotate(15 18.800 14.500)"/><rect x="13.200" y="16.500" width="4.200" height="4.200" rx="1" transform="rotate(6 15.300 18.600)" fill-opacity=".35"/></g>` : "") +
  (foam ? `<path d="M7.500 12.500c-.8-3 1.600-4.300 3.300-4.100C11.500 5.800 14 5 16 5.500c2.300-.8 4.700.5 5 2.900 2.300-.2 4 1.300 3.500 4.100z" fill="${foam}"/><path d="M10.500 10c1-1.300 2.500-1.200 3-.3M15 7.500c1.500-.8 3 0 3.300 1" stroke="#fff" stroke-opacity=".7" stroke-width=".9" fill="none" stroke-linecap="round"/>` : "") +
  `<path d="M10.300 12.500l1.200 14" stroke="#fff" stroke-opacity=".45" stroke-width="1.300" stroke-linecap="round"/>` + top;

const bottle = (cap, bubbles) =>
  `<defs>${gradient("water", "#7cc4ee", "#d8f1ff")}${gradient("cap", cap, "#ffffff")}</defs>` +
  `<rect x="13" y="1.500" width="6" height="4" rx="1.200" fill="url(#cap)"/><path d="M13.500 5.500h5v2.700c0 1.500 3 2.800 3 5.800v14a2.500 2.500 0 0 1-2.500 2.500h-6a2.500 2.500 0 0 1-2.500-2.500V14c0-3 3-4.300 3-5.800z" fill="url(#water)"/>` +
  `<rect x="10.500" y="16" width="11" height="7" fill="#fff" fill-opacity=".85"/><path d="M16 17.200c1.500 1.800 2 2.500 2 3.400a2 2 0 0 1-4 0c0-.9.5-1.600 2-3.400z" fill="#3b9bd8"/>` +
  (bubbles ? `<g fill="#fff" fill-opacity=".8"><circle cx="13" cy="26.500" r=".8"/><circle cx="17" cy="28" r=".6"/><circle cx="19.500" cy="25.300" r=".7"/><circle cx="15.500" cy="13" r=".7"/><circle cx="18.500" cy="11.500" r=".5"/></g>` : "") +
  `<path d="M12.400 13v14" stroke="#fff" stroke-opacity=".6" stroke-width="1" stroke-linecap="round"/>`;

const crust = `<defs>${gradient("crust", "#c9771e", "#f7c566")}${gradient("sugar", "#b9793a", "#e9bb78")}${gradient("cake", "#4a2618", "#8a5236")}${gradient("crumb", "#5d3120", "#6f3d28")}</defs>`;

const DRAWN = {
  "onion-rings": crust + ring(11, 20, 7, 4.200) + ring(21.500, 21, 6.500, 4.200) + ring(16.500, 11.500, 7, 4.200),
  nuggets: crust + blob(9.500, 21, 1.500, -10) + blob(22, 22, 1.450, 30) + blob(16, 12, 1.550, 12) + blob(16.500, 23.500, 1.200, -30),
  sticks: crust + bar(16, 25, 25, 6, -4, "crust") + bar(15, 18.500, 25, 6, 7, "crust") + bar(17, 11.500, 24, 6, -10, "crust") + `<path d="M27.300 8.800c2 .3 2.800 2 1.800 3.400-.7 1-2.100.8-2.600 2.300-.4 1.200-1.500.8-1.300-.4z" fill="#fff3d0"/>`,
  churros: crust + [[16, 24.500, -6], [15.500, 18, 8], [16.500, 11.500, -9]].map(([x, y, angle]) => bar(x, y, 26, 5.400, angle, "sugar") + `<g transform="rotate(${angle} ${x} ${y})" stroke="#8a5a22" stroke-opacity=".45" stroke-width=".6"><path d="M${x - 11.500} ${y - 0.6}h23M${x - 11.500} ${y + 1.100}h23"/></g><g fill="#fff" fill-opacity=".85">${[-9, -5, -1, 4, 8].map((dx, i) => `<circle cx="${x + dx}" cy="${y - 0.5 + (i % 2)}" r=".45"/>`).join("")}</g>`).join(""),
  brownie: crust + `<path d="M3.500 14L17 8.500l12 5v9L15.500 28.500l-12-5.500z" fill="url(#crumb)"/><path d="M3.500 14L17 8.500l12 5-13.500 6z" fill="url(#cake)"/><path d="M15.500 19.500v9L29 22.500v-9z" fill="#3a1c11" fill-opacity=".55"/><g fill="#d9a066"><circle cx="12" cy="13.300" r="1"/><circle cx="18.500" cy="12" r=".9"/><circle cx="21.500" cy="14.500" r="1"/><circle cx="15.500" cy="16" r=".8"/></g><path d="M7 14l9.500-3.900" stroke="#fff" stroke-opacity=".25" stroke-width="1" stroke-linecap="round"/>`,
  "cola-glass": glass(["#3a1608", "#8a3d1c"]),
  "cola-zero-glass": glass(["#14100f", "#4a3733"], { straw: "#2b2b2b" }),
  "cherry-glass": glass(["#4a0b16", "#a3283e"], { straw: "#c01536" }),
  "orange-glass": glass(["#f07a10", "#ffc04a"], { straw: "#2f9e44" }),
  "lime-glass": glass(["#8fc93a", "#e8f7b6"], { straw: "#2f9e44" }),
  "ginger-glass": glass(["#d9a441", "#f7e2a8"], { straw: "#8a5a22" }),
  "lemonade-glass": glass(["#f7d54a", "#fff6bf"], { straw: "#f2b705" }),
  "tea-glass": glass(["#a4561a", "#eaa85a"], { straw: "#f08a5d" }),
  "juice-glass": glass(["#f58a07", "#ffcf5c"], { ice: false, straw: "#ff6b35" }),
  "coffee-glass": glass(["#5a341c", "#c99f73"], { straw: "#3b2416" }),
  "vanilla-glass": glass(["#f1dca7", "#fff6dd"], { ice: false, foam: "#fffaf0", straw: "#e5b567" }),
  "chocolate-glass": glass(["#5b3220", "#a06a48"], { ice: false, foam: "#fff6ec", straw: "#7a4a30" }),
  "strawberry-glass": glass(["#f0708a", "#ffc2cd"], { ice: false, foam: "#fff0f3" }),
  "still-bottle": bottle("#3b82c4", false),
  "sparkling-bottle": bottle("#2f9e44", true),
};

// [what, x, y, size]: the middle and the width in a picture of 480 x 360, from back to front.
const burger = (...beside) => [["hamburger", 220, 175, 270], ...beside.map(([what, size = 120], index) => [what, [368, 388, 90][index], [258, 130, 268][index], size])];
const beside = (main, accent, size = 130, mainSize = 250) => [[main, 225, 178, mainSize], [accent, 366, 252, size]];
const one = (main, size = 270) => [[main, 240, 180, size]];
const combo = (main, drink = "cola-glass", side = "french-fries") => [[side, 140, 150, 190], [drink, 362, 150, 200], [main, 235, 230, 210]];

const DISHES = {
  volcano: burger(["hot-pepper", 130], ["fire", 96]),
  "classic-beef-burger": burger(["tomato", 104]),
  "classic-cheeseburger": burger(["cheese-wedge", 126]),
  "double-cheeseburger": [["hamburger", 170, 165, 220], ["hamburger", 312, 195, 220], ["cheese-wedge", 412, 286, 96]],
  "smoky-bacon-burger": burger(["bacon", 136]),
  "mushroom-swiss-burger": burger(["brown-mushroom", 118], ["cheese-wedge", 92]),
  "crispy-chicken-burger": burger(["poultry-leg", 136]),
  "nashville-hot-chicken-burger": burger(["poultry-leg", 130], ["hot-pepper", 100]),
  "grilled-chicken-burger": burger(["poultry-leg", 124], ["leafy-green", 96]),
  "garden-veggie-burger": burger(["carrot", 130], ["broccoli", 92]),
  "plant-power-burger": burger(["seedling", 120], ["avocado", 92]),
  "chipotle-black-bean-burger": burger(["beans", 124], ["hot-pepper", 94]),
  "crispy-fish-burger": burger(["fish", 140], ["lemon", 84]),
  "bunless-beef-burger": [["leafy-green", 150, 190, 190], ["cut-of-meat", 262, 180, 220], ["tomato", 376, 258, 100]],
  "halloumi-burger": burger(["cheese-wedge", 130], ["bell-pepper", 90]),
  "fries-combo": combo("hamburger"),
  "classic-cheeseburger-combo": [...combo("hamburger"), ["cheese-wedge", 350, 296, 84]],
  "crispy-chicken-combo": [...combo("hamburger"), ["poultry-leg", 352, 290, 100]],
  "veggie-combo": [...combo("hamburger", "lemonade-glass"), ["carrot", 352, 292, 96]],
  "plant-power-combo": [...combo("hamburger", "strawberry-glass"), ["seedling", 354, 292, 90]],
  "wings-and-rings-box": [["takeout-box", 150, 160, 200], ["onion-rings", 338, 150, 180], ["poultry-leg", 250, 244, 170]],
  "coffee-and-brownie": [["hot-beverage", 165, 165, 230], ["brownie", 332, 232, 190]],
  "double-cheeseburger-combo": [...combo("hamburger", "cola-zero-glass"), ["hamburger", 330, 262, 130]],
  "classic-fries": one("french-fries", 280),
  "sweet-potato-fries": beside("french-fries", "roasted-sweet-potato", 150),
  "loaded-cheese-fries": beside("french-fries", "cheese-wedge", 140),
  "chilli-beef-fries": [["french-fries", 215, 175, 250], ["hot-pepper", 366, 250, 130], ["beans", 100, 280, 96]],
  "onion-rings": beside("onion-rings", "onion", 110, 260),
  "mozzarella-sticks": beside("sticks", "cheese-wedge", 120, 260),
  "chicken-nuggets": one("nuggets", 290),
  "buffalo-wings": [["poultry-leg", 170, 165, 220], ["poultry-leg", 300, 195, 220], ["hot-pepper", 408, 278, 100]],
  "corn-on-the-cob": beside("ear-of-corn", "butter", 110, 270),
  "creamy-coleslaw": beside("bowl-with-spoon", "carrot", 120, 250),
  "garlic-bread": beside("baguette-bread", "garlic", 126, 270),
  "caesar-salad": beside("green-salad", "cheese-wedge", 110, 270),
  "garden-salad": beside("green-salad", "cucumber", 120, 270),
  "greek-salad": beside("green-salad", "olive", 118, 270),
  "quinoa-power-bowl": beside("pot-of-food", "avocado", 124, 270),
  "southwest-chicken-salad": [["green-salad", 215, 175, 260], ["poultry-leg", 366, 252, 126], ["ear-of-corn", 92, 282, 100]],
  "crispy-chicken-wrap": beside("burrito", "poultry-leg", 130, 280),
  "falafel-wrap": beside("stuffed-flatbread", "falafel", 130, 270),
  "grilled-prawn-wrap": beside("burrito", "shrimp", 136, 280),
  "iced-cola": one("cola-glass", 300),
  "cola-zero": one("cola-zero-glass", 300),
  "cherry-cola": [["cherry-glass", 220, 180, 300], ["cherries", 340, 262, 110]],
  "orange-soda": [["orange-glass", 220, 180, 300], ["tangerine", 340, 266, 110]],
  "lemon-lime-soda": [["lime-glass", 220, 180, 300], ["lemon", 336, 270, 100], ["lime", 396, 256, 84]],
  "ginger-beer": [["ginger-glass", 220, 180, 300], ["ginger-root", 344, 266, 120]],
  "fresh-lemonade": [["lemonade-glass", 220, 180, 300], ["lemon", 340, 266, 114]],
  "peach-iced-tea": [["tea-glass", 220, 180, 300], ["peach", 342, 264, 114]],
  "still-water": one("still-bottle", 300),
  "sparkling-water": one("sparkling-bottle", 300),
  "orange-juice": [["juice-glass", 220, 180, 300], ["tangerine", 340, 266, 110]],
  "vanilla-milkshake": one("vanilla-glass", 300),
  "chocolate-milkshake": [["chocolate-glass", 220, 180, 300], ["chocolate-bar", 346, 258, 116]],
  "strawberry-oat-shake": [["strawberry-glass", 220, 180, 300], ["strawberry", 342, 262, 114]],
  espresso: one("hot-beverage", 200),
  americano: one("hot-beverage", 280),
  cappuccino: beside("hot-beverage", "glass-of-milk", 120, 260),
  "caffe-latte": [["glass-of-milk", 150, 165, 170], ["hot-beverage", 278, 195, 240]],
  "oat-flat-white": beside("hot-beverage", "sheaf-of-rice", 126, 250),
  mocha: beside("hot-beverage", "chocolate-bar", 120, 250),
  "iced-coffee": one("coffee-glass", 300),
  "hot-chocolate": [["hot-beverage", 215, 175, 250], ["chocolate-bar", 362, 250, 130], ["candy", 90, 290, 80]],
  "mint-tea": beside("teacup-without-handle", "herb", 126, 240),
  "english-breakfast-tea": beside("teapot", "teacup-without-handle", 130, 250),
  "chocolate-brownie": one("brownie", 290),
  "apple-pie": beside("pie", "red-apple", 112, 260),
  "new-york-cheesecake": beside("shortcake", "strawberry", 100, 260),
  "vanilla-soft-serve": one("soft-ice-cream", 290),
  "hot-fudge-sundae": beside("ice-cream", "chocolate-bar", 110, 270),
  "mango-sorbet": beside("shaved-ice", "mango", 130, 260),
  "cinnamon-churros": one("churros", 290),
  "chocolate-chip-cookie": one("cookie", 270),
  "fresh-fruit-cup": [["grapes", 150, 160, 170], ["watermelon", 320, 150, 180], ["strawberry", 200, 258, 140], ["pineapple", 340, 250, 150]],
  "kids-cheeseburger-meal": [["french-fries", 130, 150, 150], ["beverage-box", 366, 150, 160], ["hamburger", 245, 228, 190], ["cheese-wedge", 90, 286, 84]],
  "kids-nuggets-meal": [["french-fries", 130, 150, 150], ["beverage-box", 366, 150, 160], ["nuggets", 245, 226, 200]],
  "kids-veggie-dippers-meal": [["carrot", 130, 150, 150], ["beverage-box", 366, 150, 160], ["falafel", 245, 226, 190]],
  "kids-pasta-pomodoro": beside("spaghetti", "tomato", 110, 270),
  "kids-grilled-chicken-bites-meal": [["broccoli", 130, 150, 150], ["beverage-box", 366, 150, 160], ["poultry-leg", 245, 226, 190]],
};

function compose(icons, layers) {
  const parts = layers.map(([what, x, y, size], index) => {
    const known = DRAWN[what] ? { body: DRAWN[what] } : icons.icons[what];
    if (!known) throw new Error(`there is no picture ${what}`);
    const width = known.width ?? (DRAWN[what] ? 32 : (icons.width ?? 32));
    const height = known.height ?? (DRAWN[what] ? 32 : (icons.height ?? 32));
    // Two drawings in one file must not share names.
    const body = known.body.replace(/(\bid="|url\(#|href="#)([^")]+)/g, `$1p${index}-$2`);
    return `<ellipse cx="${x}" cy="${y + size * 0.45}" rx="${size * 0.4}" ry="${size * 0.07}" fill="url(#shadow)"/>` +
      `<svg x="${x - size / 2}" y="${y - size / 2}" width="${size}" height="${size}" viewBox="0 0 ${width} ${height}">${body}</svg>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 ${WIDTH} ${HEIGHT}">` +
    `<defs><radialGradient id="shadow"><stop stop-color="#3b1d10" stop-opacity=".35"/><stop offset="1" stop-color="#3b1d10" stop-opacity="0"/></radialGradient></defs>${parts.join("")}</svg>`;
}

// The pictures that `menu` names, under `target`. Drawn again only when this file or the set has changed.
export function writePictures(menu, target) {
  const source = require.resolve("@iconify-json/fluent-emoji/icons.json");
  const icons = JSON.parse(fs.readFileSync(source, "utf8"));
  const wanted = JSON.parse(fs.readFileSync(menu, "utf8")).items.map(({ image }) => image).filter(Boolean);
  const newest = Math.max(fs.statSync(source).mtimeMs, fs.statSync(new URL(import.meta.url)).mtimeMs);
  let drawn = 0;
  for (const image of new Set(wanted)) {
    const name = path.basename(image, ".png");
    const layers = DISHES[name];
    if (image !== `/img/${name}.png` || !layers) throw new Error(`tools/pictures.mjs has no picture for ${image} of ${menu}`);
    const file = path.join(target, image);
    if (fs.existsSync(file) && fs.statSync(file).mtimeMs > newest) continue;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const png = new Resvg(compose(icons, layers), { fitTo: { mode: "width", value: 640 } }).render().asPng();
    fs.writeFileSync(`${file}.new`, png);
    fs.renameSync(`${file}.new`, file);
    drawn++;
  }
  return { pictures: new Set(wanted).size, drawn };
}
