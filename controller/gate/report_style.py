"""How a report looks: light and dark, on a phone and on paper. Everything is in the page itself."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f5f6f8; --ink: #16191d; --soft: #565d66; --line: #d5d9de;
  --good: #0b6b35; --bad: #b3121f; --doubt: #7a5200; --good-ground: #e6f4ea; --bad-ground: #fdeaea;
  --doubt-ground: #fdf3dd; --incumbent: #565d66; --candidate: #0a56b8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --raised: #1d2126; --ink: #eceef0; --soft: #a9b0b9; --line: #383f47;
    --good: #6fd694; --bad: #ff9aa0; --doubt: #f0c060; --good-ground: #10301c; --bad-ground: #401519;
    --doubt-ground: #362a0e; --incumbent: #a9b0b9; --candidate: #76b3ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 74rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.1rem; font-weight: 600; color: var(--soft); margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: .5rem 0; max-width: 70ch; }
.verdict { border-left: .4rem solid var(--soft); background: var(--raised); padding: .75rem 1rem; }
.verdict strong { display: block; font-size: 1.5rem; line-height: 1.25; }
.verdict p { max-width: none; }
.good, .bad, .doubt { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); } .doubt { color: var(--doubt); }
.verdict.good, .note.good { border-color: var(--good); background: var(--good-ground); }
.verdict.bad, .note.bad { border-color: var(--bad); background: var(--bad-ground); }
.verdict.doubt, .note.doubt { border-color: var(--doubt); background: var(--doubt-ground); }
.verdict, .note { color: var(--ink); font-weight: 400; }
.verdict.good strong { color: var(--good); } .verdict.bad strong { color: var(--bad); }
.verdict.doubt strong { color: var(--doubt); }
.note.good, .note.bad, .note.doubt {
  border-left: .25rem solid; padding: .4rem .75rem; border-radius: .2rem; max-width: none;
}
code, pre { font: .875em/1.5 ui-monospace, monospace; }
code { white-space: pre-wrap; background: var(--raised); padding: .05em .3em; border-radius: .2rem; }
pre { white-space: pre-wrap; background: var(--raised); padding: .75rem; border-radius: .25rem; margin: .5rem 0; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .2rem 1rem; margin: .75rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .35rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
/* Words stay whole where there is room; one that is wider than a page has no room. */
th, td { min-width: calc(9ch + .75rem); }
thead th { color: var(--soft); font-weight: 600; } tbody th { font-weight: 600; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .9rem; max-width: 70ch; }
svg { width: 100%; max-width: 52rem; height: auto; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; } svg .label { fill: var(--ink); }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg path { fill: none; } svg .grid { stroke: var(--line); } svg .limit { stroke: var(--bad); stroke-dasharray: 6 3; }
svg .range { stroke: var(--candidate); stroke-width: 3; } svg .curve { stroke-width: 2; }
svg path.incumbent { stroke: var(--incumbent); stroke-dasharray: 6 4; } svg path.candidate { stroke: var(--candidate); }
svg path.bound { stroke-width: 1.5; stroke-dasharray: none; }
svg circle { fill: var(--candidate); } svg circle.incumbent { fill: var(--incumbent); }
.pair { border: 1px solid var(--line); padding: .75rem 1rem; margin: 1rem 0; break-inside: avoid; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.side h4 { margin: .25rem 0; font-size: .95rem; }
.side img { max-width: 100%; height: auto; border: 1px solid var(--line); background: var(--raised); display: block; }
.side img.small { width: min(100%, 20rem); image-rendering: pixelated; }
.empty { border: 1px dashed var(--line); padding: 1rem; color: var(--soft); }
.side dl { grid-template-columns: max-content 1fr; font-size: .9rem; }
del { background: var(--bad-ground); color: var(--bad); text-decoration: line-through; }
ins { background: var(--good-ground); color: var(--doubt); text-decoration: underline; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
footer { margin-top: 3rem; padding-top: .75rem; border-top: 1px solid var(--line); }
footer { color: var(--soft); font-size: .85rem; }
summary { cursor: pointer; color: var(--soft); } :focus-visible { outline: 2px solid var(--candidate); }
@media screen and (max-width: 54rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; }
  .sides { gap: .5rem; } svg text { font-size: 19px; }
  table.stacks, .stacks caption, .stacks tbody, .stacks tr, .stacks th, .stacks td { display: block; }
  .stacks thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stacks tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
  .stacks th, .stacks td { border: 0; padding: .1rem 0; min-width: 0; }
  .stacks td::before { content: attr(data-head) ": "; color: var(--soft); }
}
@media print {
  :root {
    --ground: #fff; --raised: #fff; --ink: #000; --soft: #333; --line: #bbb; --good: #064d26; --bad: #8c0d17;
    --doubt: #5c3d00; --good-ground: #fff; --bad-ground: #fff; --doubt-ground: #fff; --incumbent: #333;
    --candidate: #003f8c;
  }
  body { max-width: none; padding: 0; font-size: 11pt; overflow-wrap: break-word; }
  th, td { min-width: 0; font-size: 9pt; }
  h2, h3, caption { break-after: avoid; } tr, figure { break-inside: avoid; } details { display: none; }
}
"""
