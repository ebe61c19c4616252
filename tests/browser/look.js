// What is wrong with the page as it is drawn now: a list of sentences, empty when nothing is.
(() => {
  const TEXT_CONTRAST = 4.5, LINE_CONTRAST = 3, TEXT_PX = 9, TOUCHING_PX = 1, SHOWN = 60;
  const found = new Set();
  const said = text => { const one = text.replace(/\s+/g, ' ').trim(); return `'${one.slice(0, SHOWN)}'`; };
  const at = element => {
    const figure = element.closest('figure,table,dl,header,pre,p') || element;
    const heading = figure.querySelector('h1,h2,h3');
    return `${element.tagName.toLowerCase()}${heading ? ` of ${said(heading.textContent)}` : ''}`;
  };
  const colour = value => {
    const [r, g, b, a = 1] = (value.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    return value.startsWith('rgb') ? [r, g, b, a] : [0, 0, 0, 0];
  };
  const over = (top, below) => {
    const share = top[3];
    return [...[0, 1, 2].map(i => top[i] * share + below[i] * (1 - share)), 1];
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const canvas = getComputedStyle(document.documentElement).colorScheme.includes('dark')
    && matchMedia('(prefers-color-scheme:dark)').matches && !matchMedia('print').matches
    ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const chain = element => { const all = []; for (let e = element; e; e = e.parentElement) all.push(e); return all; };
  const behind = element => chain(element).reverse().reduce((below, e) => over(colour(getComputedStyle(e).backgroundColor), below), canvas);
  const opacity = element => chain(element).reduce((share, e) => share * Number(getComputedStyle(e).opacity), 1);
  const drawn = (element, value, below) => { const c = colour(value); return over([c[0], c[1], c[2], c[3] * opacity(element)], below); };
  const visible = element => element.checkVisibility({visibilityProperty: true});
  const scrolls = element => chain(element).some(e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX));

  // 1. Nothing is wider than the screen, and nothing is cut off.
  const width = innerWidth;
  if (document.documentElement.scrollWidth > width)
    found.add(`the page is ${document.documentElement.scrollWidth} px wide on a screen of ${width}`);
  for (const e of document.querySelectorAll('body *')) {
    if (!visible(e) || e.closest('svg')?.parentElement?.closest('svg')) continue;
    const box = e.getBoundingClientRect();
    if (box.width && !scrolls(e) && (box.right > width + TOUCHING_PX || box.left < -TOUCHING_PX))
      found.add(`${at(e)} leaves the screen: ${said(e.textContent)}`);
    const style = getComputedStyle(e);
    if (['hidden', 'clip'].includes(style.overflowX) && !e.ownerSVGElement && e.tagName !== 'svg' && e.scrollWidth > e.clientWidth + TOUCHING_PX)
      found.add(`${at(e)} is cut off: ${said(e.textContent)}`);
  }

  // 2. Text that can be read: contrast and size; HTML and SVG alike.
  const walker = document.createTreeWalker(document.body || document.documentElement, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !visible(e) || ['STYLE', 'SCRIPT', 'TITLE', 'title', 'style'].includes(e.tagName)) continue;
    const style = getComputedStyle(e), below = behind(e), isSvg = e instanceof SVGElement;
    const ratio = contrast(drawn(e, isSvg ? style.fill : style.color, below), below);
    if (ratio < TEXT_CONTRAST) found.add(`contrast of ${at(e)} is ${ratio.toFixed(2)}: ${said(node.data)}`);
    const scale = isSvg ? Math.abs(e.getScreenCTM().a) : 1, size = parseFloat(style.fontSize) * scale;
    if (size < TEXT_PX) found.add(`text of ${at(e)} is ${size.toFixed(1)} px high: ${said(node.data)}`);
    const wrong = node.data.match(/\b(NaN|None|undefined|Infinity|nan|inf)\b/);
    if (wrong) found.add(`${wrong[0]} instead of a value in ${at(e)}: ${said(node.data)}`);
  }

  // 3. Charts: lines that can be told from the paper, texts that neither overlap nor leave the drawing.
  for (const svg of document.querySelectorAll('svg')) {
    if (!visible(svg)) continue;
    const frame = svg.getBoundingClientRect(), below = behind(svg);
    const texts = [...svg.querySelectorAll('text')].filter(visible).map(e => [e, e.getBoundingClientRect()]);
    texts.forEach(([e, box], i) => {
      if (box.left < frame.left - TOUCHING_PX || box.right > frame.right + TOUCHING_PX || box.top < frame.top - TOUCHING_PX || box.bottom > frame.bottom + TOUCHING_PX)
        found.add(`text leaves its drawing in ${at(svg)}: ${said(e.textContent)}`);
      for (const [other, its] of texts.slice(i + 1)) {
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (wide > TOUCHING_PX && high > TOUCHING_PX) found.add(`texts overlap in ${at(svg)}: ${said(e.textContent)} and ${said(other.textContent)}`);
      }
    });
    for (const path of svg.querySelectorAll('path,circle')) {
      const style = getComputedStyle(path);
      if (style.stroke === 'none') continue;
      const ratio = contrast(drawn(path, style.stroke, below), below);
      if (ratio < LINE_CONTRAST) found.add(`a line of ${at(svg)} has a contrast of ${ratio.toFixed(2)}`);
    }
  }
  return [...found];
})()
