/* Draws charts with uPlot, which a script of its own loads. */

import { h } from './dom.js';
import { describe } from './series.js';

/** @import uPlotType from 'uplot' */
/** @import { Chart, Values } from './series.js' */

/** @typedef {{ readonly kind: 'open' | 'half_open' | 'cooldown' | 'fault', readonly from: number, readonly to: number }} Band */

/** @type {typeof uPlotType} */
const uPlot = /** @type {any} */ (globalThis).uPlot;

/** Each interval is a step. */
const STEPPED = /** @type {uPlotType.Series.PathBuilder} */ (uPlot.paths.stepped?.({ align: 1 }));

const HEIGHT = 120;
const AXIS_FONT = '11px system-ui, sans-serif';

/** @type {Readonly<Record<Band['kind'], string>>} */
const BAND_COLORS = { open: 'bad', half_open: 'wait', cooldown: 'violet', fault: 'bad' };
/** Row of the solid stripe of a band at the top, so that breaker and cooldown can be seen at once. @type {Readonly<Record<Band['kind'], number>>} */
const BAND_ROWS = { open: 0, half_open: 0, cooldown: 1, fault: 0 };
const STRIPE = 4;

/**
 * The colour of the style sheet in effect, which depends on the theme.
 * @param {string} name
 */
function color(name) {
  const probe = h('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/**
 * @param {string} rgb
 * @param {number} alpha
 */
const faded = (rgb, alpha) => rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);

/** All drawn charts, to draw them again in another theme. @type {Set<SmallChart>} */
const DRAWN = new Set();

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of DRAWN) chart.redraw();
});

/** One small chart with its values in the caption: the latest ones, or those under the pointer. */
export class SmallChart {
  element;
  #caption = h('figcaption');
  #place = h('div', { class: 'plot', role: 'img', tabindex: 0 });
  #group;
  #axis;
  /** @type {uPlotType | undefined} */
  #plot;
  /** @type {Chart | undefined} */
  #chart;
  /** @type {readonly number[]} */
  #times = [];
  /** @type {readonly Band[]} */
  #bands = [];
  #shape = '';
  #observer = new ResizeObserver(() => this.#resize());

  /** @param {{ group: string, axis?: (seconds: number) => string }} options `group`: its charts show the same moment. `axis`: instead of the time of day. */
  constructor({ group, axis }) {
    this.#group = group;
    this.#axis = axis;
    this.#place.addEventListener('keydown', (event) => this.#step(event));
    this.element = h('figure', { class: 'chart' }, this.#caption, this.#place);
    this.#observer.observe(this.#place);
    DRAWN.add(this);
  }

  destroy() {
    this.#observer.disconnect();
    this.#plot?.destroy();
    DRAWN.delete(this);
  }

  /**
   * @param {Chart} chart
   * @param {readonly number[]} times Seconds since 1970, or since another moment.
   * @param {readonly Band[]} bands
   */
  show(chart, times, bands) {
    this.#chart = chart;
    this.#times = times;
    this.#bands = bands;
    this.#place.setAttribute('aria-label', describe(chart));
    const shape = JSON.stringify([chart.title, chart.lines.map(({ label }) => label)]);
    if (shape !== this.#shape || this.#plot === undefined) {
      this.#shape = shape;
      this.redraw();
    } else this.#plot.setData(this.#data());
    this.#tell(this.#plot?.cursor.idx);
  }

  redraw() {
    const chart = this.#chart;
    this.#plot?.destroy();
    this.#plot = undefined;
    const width = this.#place.clientWidth;
    if (chart === undefined || width === 0) return;
    this.#plot = new uPlot(this.#options(chart, width), this.#data(), this.#place);
  }

  #resize() {
    const width = this.#place.clientWidth;
    if (width === 0) return;
    if (this.#plot === undefined) this.redraw();
    else this.#plot.setSize({ width, height: HEIGHT });
    this.#tell(this.#plot?.cursor.idx);
  }

  /** @returns {uPlotType.AlignedData} */
  #data() {
    const lines = this.#chart?.lines ?? [];
    return /** @type {any} */ ([this.#times, ...lines.map(({ values, drawn = values }) => drawn)]);
  }

  /**
   * @param {Chart} chart
   * @param {number} width
   * @returns {uPlotType.Options}
   */
  #options({ lines, format, max }, width) {
    const grid = { stroke: faded(color('quiet'), 0.2), width: 1 };
    const axis = { stroke: color('quiet'), font: AXIS_FONT, grid, ticks: { show: false } };
    const named = this.#axis;
    return {
      width,
      height: HEIGHT,
      padding: [10, 16, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false }, sync: { key: this.#group } },
      scales: {
        x: { time: named === undefined },
        y: { range: (_, __, top) => [0, max ?? (top > 0 ? top * 1.08 : 1)] },
      },
      axes: [
        {
          ...axis,
          space: 52,
          size: 22,
          ...(named === undefined ? { values: timesOfDay } : { values: (_, at) => at.map(named) }),
        },
        { ...axis, space: 28, size: 48, values: (_, at) => at.map((value) => format(value)) },
      ],
      series: [
        {},
        ...lines.map(({ color: name, fill, label }) => {
          const stroke = color(name);
          return {
            label,
            stroke,
            width: 1.5,
            points: { size: 3, space: 0, show: isAlone },
            ...(fill && { fill: mixed(stroke, color('card')), paths: STEPPED }),
          };
        }),
      ],
      hooks: {
        drawClear: [(plot) => this.#drawBands(plot)],
        setCursor: [(plot) => this.#tell(plot.cursor.idx)],
      },
    };
  }

  /** @param {uPlotType} plot */
  #drawBands(plot) {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio || 1;
    const [first, last] = [this.#times[0] ?? 0, this.#times.at(-1) ?? 0];
    ctx.save();
    for (const { kind, from, to } of this.#bands) {
      const left = plot.valToPos(Math.max(from, first), 'x', true);
      const width = Math.max(scale, plot.valToPos(Math.min(to, last), 'x', true) - left);
      const shade = color(BAND_COLORS[kind]);
      ctx.fillStyle = faded(shade, 0.12);
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.fillStyle = shade;
      if (kind !== 'fault')
        ctx.fillRect(left, bbox.top - (2 - BAND_ROWS[kind]) * (STRIPE + 1) * scale, width, STRIPE * scale);
    }
    ctx.restore();
  }

  /** Shows the values of one interval, or the latest ones. @param {number | null | undefined} index */
  #tell(index) {
    const { title = '', lines = [], format = String } = this.#chart ?? {};
    const at = index ?? undefined;
    const values = lines.toReversed().map(({ label, color: name, values: all }) => {
      const value = at === undefined ? latest(all) : all[at];
      const text = typeof value === 'number' ? ` ${format(value)}` : '';
      return h('span', { class: `value c-${name}` }, h('b', {}, '\u25A0'), ` ${label}${text}`);
    });
    if (values.length === 0) values.push(h('span', { class: 'value' }, 'none'));
    this.#caption.replaceChildren(
      h('span', { class: 'title' }, title),
      h('span', { class: 'at' }, this.#momentOf(at)),
      ...values,
    );
  }

  /** @param {number | undefined} index */
  #momentOf(index) {
    const seconds = index === undefined ? undefined : this.#times[index];
    return seconds === undefined ? '' : (this.#axis ?? timeOfDay)(seconds);
  }

  /** Arrow keys move the pointer. @param {KeyboardEvent} event */
  #step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const plot = this.#plot;
    if (by === undefined || plot === undefined) return;
    event.preventDefault();
    const index = (plot.cursor.idx ?? this.#times.length - 1) + by;
    const at = this.#times[Math.max(0, Math.min(this.#times.length - 1, index))] ?? 0;
    plot.setCursor({ left: plot.valToPos(at, 'x'), top: 0 });
  }
}

/** @param {Values} values */
const latest = (values) => values.findLast((value) => value !== null);

/** @param {number} seconds */
const timeOfDay = (seconds) => new Date(seconds * 1_000).toLocaleTimeString();

/** @param {uPlotType} _ @param {readonly number[]} at */
const timesOfDay = (_, at) =>
  at.map((seconds) =>
    new Date(seconds * 1_000).toLocaleTimeString([], {
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    }),
  );

/**
 * A value without neighbours would be invisible as a line.
 * @param {uPlotType} plot
 * @param {number} series
 * @param {number} from
 * @param {number} to
 */
function isAlone(plot, series, from, to) {
  const values = plot.data[series] ?? [];
  let known = 0;
  for (let index = from; index <= to; index++)
    if (values[index] !== null && values[index] !== undefined) known++;
  return known > 0 && known <= 30;
}

/** An opaque mixture, because fills cover each other. @param {string} a @param {string} b */
function mixed(a, b) {
  const [one, two] = [a, b].map((rgb) => (rgb.match(/[\d.]+/g) ?? []).map(Number));
  const channel = (/** @type {number} */ index) =>
    Math.round((one?.[index] ?? 0) * 0.35 + (two?.[index] ?? 0) * 0.65);
  return `rgb(${channel(0)}, ${channel(1)}, ${channel(2)})`;
}
