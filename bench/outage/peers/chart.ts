import type { Plan } from './plan.ts';
import { type Result, timeToRecover } from './result.ts';
import type { Measured } from './tables.ts';

const COLUMNS = 3;
const PANEL = { width: 250, height: 92, left: 34, top: 22, gapX: 72, gapY: 46 };
const HEADER = 58;
const BLUE = '#1f6fb4';
const ORANGE = '#d9730d';

/** A panel for each contender, all with the same axes: share of successes, and attempts per second at the upstream. */
export function chart({ plan, results }: Measured): string {
  const { faultAtMs, faultMs, endMs, capacityPerSecond, ratePerSecond } = plan.scenario;
  const most = Math.max(
    capacityPerSecond,
    ...results.flatMap(({ seconds }) => seconds.map((one) => one.attempts)),
  );
  const top = Math.ceil(most / 100) * 100;
  const rows = Math.ceil(results.length / COLUMNS);
  const width = PANEL.left + COLUMNS * (PANEL.width + PANEL.gapX);
  const height = HEADER + rows * (PANEL.height + PANEL.gapY);
  const x = (ms: number) => (ms / endMs) * PANEL.width;
  const y = (share: number) => PANEL.height * (1 - share);
  const backdrop = [
    `<rect x="${round(x(faultAtMs))}" width="${round(x(Math.min(faultMs, endMs - faultAtMs)))}" height="${PANEL.height}" fill="#f3e3e3"/>`,
    `<path d="M0 0V${PANEL.height}H${PANEL.width}V0" fill="none" stroke="#999"/>`,
    `<path d="M0 ${round(y(capacityPerSecond / top))}h${PANEL.width}" stroke="${ORANGE}" stroke-dasharray="2 3"/>`,
    `<g font-size="9" text-anchor="end" fill="${BLUE}"><text x="-3" y="4">100 %</text><text x="-3" y="${PANEL.height}">0</text></g>`,
    `<g font-size="9" fill="${ORANGE}"><text x="${PANEL.width + 3}" y="4">${top}/s</text>`,
    `<text x="${PANEL.width + 3}" y="${round(y(capacityPerSecond / top)) + 3}">${top === capacityPerSecond ? '' : capacityPerSecond}</text></g>`,
    `<g font-size="9" text-anchor="middle" fill="#555">${ticks(endMs)
      .map((ms) => `<text x="${round(x(ms))}" y="${PANEL.height + 11}">${ms / 1_000} s</text>`)
      .join('')}</g>`,
  ].join('');
  const panels = results.map((result, i) => {
    const left = PANEL.left + (i % COLUMNS) * (PANEL.width + PANEL.gapX);
    const above = HEADER + Math.floor(i / COLUMNS) * (PANEL.height + PANEL.gapY);
    return `<g transform="translate(${left} ${above})"><use href="#axes"/>${lines(result, captionOf(plan, result), { x, y, top })}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui,sans-serif">
<rect width="${width}" height="${height}" fill="#fff"/>
<defs><g id="axes">${backdrop}</g></defs>
<text x="${PANEL.left}" y="18" font-size="14" font-weight="600">${title(plan.name, ratePerSecond)}</text>
<g font-size="10"><text x="${PANEL.left}" y="34" fill="${BLUE}">— success of the requests that arrived in this second</text><text x="${PANEL.left + 300}" y="34" fill="${ORANGE}">— attempts per second at the upstream (dashes: its capacity)</text></g>
${panels.join('\n')}
</svg>
`;
}

interface Axes {
  readonly x: (ms: number) => number;
  readonly y: (share: number) => number;
  readonly top: number;
}

function lines({ contender, seconds }: Result, text: string, { x, y, top }: Axes): string {
  const path = (values: readonly (number | undefined)[]) =>
    values
      .flatMap((value, i) => (value === undefined ? [] : [`${round(x(1_000 * i + 500))} ${round(y(value))}`]))
      .join('L');
  return [
    `<text y="-6" font-size="11"><tspan font-weight="600">${contender}</tspan> <tspan fill="#555">${text}</tspan></text>`,
    `<path d="M${path(seconds.map((one) => one.attempts / top))}" fill="none" stroke="${ORANGE}"/>`,
    `<path d="M${path(seconds.map((one) => one.success))}" fill="none" stroke="${BLUE}" stroke-width="1.5"/>`,
  ].join('');
}

function captionOf({ name, scenario }: Plan, result: Result): string {
  const { during } = result.figures;
  const ttr = timeToRecover(scenario, result);
  const end =
    name === 'flaky'
      ? `success ${(100 * during.success).toFixed(1)} %`
      : `TTR ${/\d$/.test(ttr) ? `${ttr} s` : ttr}`;
  return `AF ${during.attemptsPerRequest.toFixed(2)}, ${end}`.replace('>', '&gt;');
}

function title(name: string, rate: number): string {
  return name === 'flaky'
    ? `flaky (shaded): 30 % of attempts get 503, ${rate} requests/s`
    : `${name} (shaded), ${rate} requests/s before, during and after`;
}

function ticks(endMs: number): number[] {
  return Array.from({ length: Math.floor(endMs / 10_000) + 1 }, (_, i) => i * 10_000);
}

const round = (value: number): number => Math.round(value * 10) / 10;
