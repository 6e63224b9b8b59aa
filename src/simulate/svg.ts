import type { Report } from './report.ts';
import { faultName } from './scenario.ts';
import type { Bucket } from './series.ts';

const WIDTH = 760;
const LEFT = 56;
const RIGHT = 12;
const PANEL = { height: 130, gap: 56, top: 52 };
const HEIGHT = PANEL.top + 2 * PANEL.height + PANEL.gap + 40;

const STYLE = `text{font:12px system-ui,sans-serif;fill:#444}.t{font-size:14px;font-weight:600;fill:#222}
.f{fill:#d33;fill-opacity:.1}.g{stroke:#999;stroke-opacity:.4}.k{stroke:#d33;stroke-dasharray:2 4}
.a,.b{fill:none;stroke:#2563eb;stroke-width:1.8}.b{stroke:#777;stroke-dasharray:5 3}
@media (prefers-color-scheme:dark){text{fill:#bbb}.t{fill:#eee}.a{stroke:#7aa2ff}.b{stroke:#aaa}}`;

interface Panel {
  readonly title: string;
  readonly top: number;
  readonly max: number;
  readonly unit: string;
  readonly value: (bucket: Bucket) => number | undefined;
}

/** Success and upstream load over time as an SVG image, for light and dark pages. Solid: as configured; dashed: the defaults. */
export function svgChart(report: Report): string {
  const { capacityPerSecond, config, defaults, scenario, upstream, route } = report;
  const { faultMs } = scenario;
  const all = [...config.series, ...(defaults?.series ?? [])];
  const busiest = Math.max(capacityPerSecond, ...all.map(({ attemptsPerSecond }) => attemptsPerSecond));
  const scale = timeScale(config.series);
  const panels: Panel[] = [
    { title: 'success of requests, by arrival', top: PANEL.top, max: 100, unit: ' %', value: percent },
    {
      title: `attempts per second at the upstream (capacity ${capacityPerSecond})`,
      top: PANEL.top + PANEL.height + PANEL.gap,
      max: busiest,
      unit: '/s',
      value: ({ attemptsPerSecond }) => attemptsPerSecond,
    },
  ];
  const title = `${upstream}, route ${route}: ${faultName(scenario.fault)} for ${faultMs / 1_000} s at ${scenario.ratePerSecond}/s`;
  const body = panels.map((panel) => {
    const band = `<rect class="f" x="${fixed(scale(0))}" y="${panel.top}" width="${fixed(scale(faultMs / 1_000) - scale(0))}" height="${PANEL.height}"/>`;
    const second = defaults === undefined ? '' : line(defaults.series, panel, scale, 'b');
    return `${frame(panel)}${band}${second}${line(config.series, panel, scale, 'a')}`;
  });
  const capacity = `<path class="k" d="M${LEFT} ${fixed(y(panels[1] as Panel, capacityPerSecond))}H${WIDTH - RIGHT}"/>`;
  const key =
    defaults === undefined
      ? 'the configuration (these are the built-in defaults)'
      : 'solid: the configuration; dashed: the built-in defaults';
  const axis = `0 s: the fault begins · ${key}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
<style>${STYLE}</style>
<title>${escaped(title)}</title>
<text class="t" x="${LEFT}" y="20">${escaped(title)}</text>
${body.join('\n')}
${capacity}
${ticks(config.series, scale)}
<text x="${LEFT}" y="${HEIGHT - 6}">${escaped(axis)}</text>
</svg>
`;
}

function percent({ success }: Bucket): number | undefined {
  return success === undefined ? undefined : 100 * success;
}

type Scale = (seconds: number) => number;

function timeScale(series: readonly Bucket[]): Scale {
  const first = series[0]?.atSeconds ?? 0;
  const last = series.at(-1)?.atSeconds ?? 1;
  return (seconds) => LEFT + ((seconds - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
}

function y({ top, max }: Panel, value: number): number {
  return top + PANEL.height * (1 - value / max);
}

function frame(panel: Panel): string {
  const { title, top, max, unit } = panel;
  const lines = [0, max / 2, max].map((value) => {
    const at = fixed(y(panel, value));
    return `<path class="g" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text x="${LEFT - 6}" y="${at}" text-anchor="end" dy="4">${Math.round(value)}${unit}</text>`;
  });
  return `<text x="${LEFT}" y="${top - 8}">${escaped(title)}</text>${lines.join('')}`;
}

/** A gap where a bucket has no value. */
function line(series: readonly Bucket[], panel: Panel, scale: Scale, style: string): string {
  let pen = 'M';
  const path = series.map((bucket) => {
    const value = panel.value(bucket);
    if (value === undefined) {
      pen = 'M';
      return '';
    }
    const point = `${pen}${fixed(scale(bucket.atSeconds))} ${fixed(y(panel, value))}`;
    pen = 'L';
    return point;
  });
  return `<path class="${style}" d="${path.join('')}"/>`;
}

function ticks(series: readonly Bucket[], scale: Scale): string {
  const first = series[0]?.atSeconds ?? 0;
  const last = series.at(-1)?.atSeconds ?? 0;
  const step =
    [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((seconds) => (last - first) / seconds <= 12) ?? 1_200;
  const marks: string[] = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    marks.push(`<text x="${fixed(scale(at))}" y="${HEIGHT - 24}" text-anchor="middle">${at} s</text>`);
  }
  return marks.join('');
}

const fixed = (value: number): string => value.toFixed(1);

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
