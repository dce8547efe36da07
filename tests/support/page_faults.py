"""What a reader would find wrong in a page: texts off the screen, cut off, or too pale to read."""

from tests.support.browser import Browser

TEXTS = "td, th, p, pre, li, label, button, h1, h2, h3, h4, dd, input, summary, .drawn, .tint"
# what is shown; gradio has its tabs and labels a second time, for its own measuring and for readers
SEEN = """x => x.offsetParent && x.getBoundingClientRect().width > 1
  && !x.closest('.tab-container.visually-hidden, .sr-only')"""
OFF = f"""[...document.querySelectorAll({TEXTS!r})].filter({SEEN})
  .filter(x => {{
    const box = x.getBoundingClientRect();
    return box.right > innerWidth + 1 || box.left < -1;
  }})
  .map(x => x.tagName + ' ' + (x.innerText || x.value))"""
# wider than the box that shows it: a part is cut off, or only seen by scrolling sideways
CUT = f"""[...document.querySelectorAll({TEXTS!r} + ', .scroll')].filter({SEEN})
  .filter(x => getComputedStyle(x).display != 'inline' && !x.matches('.drawn, :has(> .icon)'))
  .filter(x => x.scrollWidth > x.clientWidth + 1)
  .map(x => x.tagName + ' ' + (x.innerText || x.value || x.className).slice(0, 80))"""
# contrast of WCAG 2.2, 1.4.3: 4.5, of large texts 3; colours are mixed by the browser itself
PALE = f"""(() => {{
  const pen = Object.assign(document.createElement('canvas'), {{width: 1, height: 1}})
    .getContext('2d', {{willReadFrequently: true}});
  const light = colours => {{
    for (const one of colours) {{ pen.fillStyle = one; pen.fillRect(0, 0, 1, 1); }}
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(value => value / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  }};
  const known = {{}};
  const contrast = (colour, grounds) => known[[colour, ...grounds].join('|')] ??= (() => {{
    const both = [light(grounds), light([...grounds, colour])];
    return (Math.max(...both) + .05) / (Math.min(...both) + .05);
  }})();
  const ground = x => getComputedStyle(x).backgroundColor;
  const behind = x => x ? [...behind(x.parentElement), ground(x)] : ['white'];
  return [...document.body.querySelectorAll('*')].filter({SEEN})
    .filter(x => x.matches('input, textarea') ? x.value && !/radio|checkbox/.test(x.type)
      : [...x.childNodes].some(one => one.nodeType == 3 && one.data.trim()))
    .filter(x => {{
      const {{color, fontSize, fontWeight}} = getComputedStyle(x), size = parseFloat(fontSize);
      const large = size >= 24 || size >= 18.6 && fontWeight >= 700;
      return contrast(color, behind(x)) < (large ? 3 : 4.5);
    }})
    .map(x => `${{x.tagName}} ${{getComputedStyle(x).color}} ${{x.innerText || x.value}}`);
}})()"""


def faults(browser: Browser) -> dict[str, list[str]]:
    """Texts of the page by what is wrong with them; empty where nothing is."""
    found = {name: browser.js(what) for name, what in (("off", OFF), ("cut", CUT), ("pale", PALE))}
    beyond = browser.js("document.documentElement.scrollWidth - innerWidth")
    found["wide"] = [f"{beyond} px beyond the window"] if beyond > 0 else []
    return {name: texts for name, texts in found.items() if texts}
