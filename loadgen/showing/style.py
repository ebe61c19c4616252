"""PURE: how the pages look: light and dark, wide and narrow, on paper. No line is told by its colour alone."""

STYLE = """
:root{color-scheme:light;--ink:#1b1f24;--dim:#5b6470;--line:#d9dde3;--paper:#fff;--box:#f5f6f8;
--a:#0b62c4;--b:#c2410c;--good:#157f3b;--slow:#9a6700;--bad:#b91c1c;--f:#7c3aed;--g:#0e7490}
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;
--ink:#e8eaed;--dim:#a3adba;--line:#363e4a;--paper:#14181d;--box:#1d232a;
--a:#6cb0ff;--b:#ff9d5c;--good:#5fd38a;--slow:#e3b341;--bad:#ff8080;--f:#c4a7ff;--g:#5fd0e0}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1120px;margin:2rem auto;
padding:0 1.2rem;overflow-wrap:break-word}
h1{font-size:1.35rem;line-height:1.35;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2.6rem 0 .8rem}
h3{font-size:.95rem;margin:0 0 .3rem}
p{margin:.5rem 0}.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}
header.late{color:var(--slow)}
header{border-left:6px solid;padding:.1rem 0 .1rem 1rem}header>*{color:var(--ink)}header .dim{color:var(--dim)}
.note{background:var(--box);border-radius:6px;padding:.6rem .9rem;max-width:86ch}
pre{background:var(--box);border-radius:6px;padding:.6rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;
font:13px/1.5 ui-monospace,monospace}pre span{display:inline-block;max-width:100%}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:.6rem;margin:1.4rem 0}
dl div{background:var(--box);border-radius:6px;padding:.6rem .9rem;display:flex;flex-direction:column-reverse;
justify-content:flex-end}
dt{color:var(--dim);font-size:13px;line-height:1.35}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
.pair{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));gap:0 2.4rem;align-items:start}
.pair figure{margin:.4rem 0 1.2rem}.pair h2:first-child{margin-top:2.2rem}
table{border-collapse:collapse;width:100%}.wide{overflow-x:auto}td:first-child{overflow-wrap:anywhere}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td:last-child{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.end,th.end{text-align:right;white-space:nowrap}.words td:last-child{white-space:normal;overflow-wrap:anywhere}
td.in1{padding-left:1.8rem}td.in2{padding-left:3rem}tr.total td{font-weight:600;border-bottom-width:2px}
.narrow{font-size:13px}.narrow td{padding:.12rem .6rem}
summary{cursor:pointer;font-size:1.15rem;font-weight:700;margin:2.6rem 0 .8rem}details h2{display:none}
figure{margin:0}figure>svg{width:100%;height:auto;display:block}figcaption{display:flex;flex-wrap:wrap;gap:0 1.1rem;
font-size:13px;color:var(--dim)}figcaption b{font-weight:600;color:var(--ink);font-variant-numeric:tabular-nums}
figcaption svg{width:24px;height:8px}svg line{stroke:var(--line)}svg text{fill:var(--dim);font-size:12px}
svg line.mark{stroke:var(--dim);stroke-dasharray:3 3}
path{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
path.d{stroke:var(--good);stroke-dasharray:12 4 2 4}path.e{stroke:var(--bad);stroke-dasharray:2 4}
path.a{stroke:var(--a);stroke-dasharray:6 5}path.b{stroke:var(--b)}path.c{stroke:var(--a)}
path.dot{stroke-width:5;stroke-dasharray:none}
path.f{stroke:var(--f);stroke-dasharray:2 5 8 5}path.g{stroke:var(--g);stroke-dasharray:16 6}
@media(max-width:600px){body{margin:1rem auto;padding:0 .8rem}svg text{font-size:14px}
dl{grid-template-columns:repeat(2,1fr)}dd{font-size:1.1rem}
td,th{padding:.25rem .35rem}}
@media print{@page{margin:14mm}body{max-width:none;margin:0;padding:0;font-size:12px}h2,h3{break-after:avoid}
figure,dl div,tr,.note,header,.pair>div{break-inside:avoid}.pair{grid-template-columns:1fr 1fr;gap:0 1.2rem}
h2{margin-top:1.4rem}svg text{font-size:14px}
dl{grid-template-columns:repeat(4,1fr)}.note,dl div,pre{border:1px solid var(--line)}details:not([open]){display:none}}
"""
