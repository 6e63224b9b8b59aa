/** The panels of the Grafana dashboard. `npm run docs` writes grafana-dashboard.json from them. */

interface Query {
  readonly expr: string;
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  /** A unit of Grafana: `reqps`, `s`, `bytes`, `percentunit`, `none`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  readonly description?: string;
  readonly max?: number;
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const PROCESS = 'namespace=~"$namespace",instance=~"$instance"';
const UPSTREAM = `${PROCESS},upstream=~"$upstream"`;

const metric = (labels: string, name: string, where = '') =>
  `breakwater_${name}{${labels}${where === '' ? '' : `,${where}`}}`;
/** A metric of the chosen upstreams. */
const ofUpstream = (name: string, where?: string) => metric(UPSTREAM, name, where);
/** A metric of the chosen instances, without the label `upstream`. */
const ofProcess = (name: string, where?: string) => metric(PROCESS, name, where);

const rate = (series: string) => `rate(${series}[$__rate_interval])`;
const sum = (series: string, by?: string) =>
  by === undefined ? `sum(${rate(series)})` : `sum by (${by}) (${rate(series)})`;

/** Events per second, one line for each value of `label`. */
const perSecond = (name: string, label: string, prefix = ''): Query => ({
  expr: sum(ofUpstream(name), label),
  legend: `${prefix}{{${label}}}`,
});

const gauge = (name: string, legend: string): Query => ({ expr: ofUpstream(name), legend });

/** A line for each quantile of a histogram, which `of` selects. */
const quantiles = (name: string, shares: readonly number[], of = ofUpstream): readonly Query[] =>
  shares.map((share) => ({
    expr: `histogram_quantile(${share}, ${sum(of(`${name}_bucket`), 'le')})`,
    legend: `p${share * 100}`,
  }));

const ratio = (name: string, part: string, whole: string): string =>
  `${sum(ofUpstream(name, part))} / ${sum(ofUpstream(name, whole))}`;

/** Figures of Node have no name of their own, so only processes of Breakwater are taken. */
const ofNode = (expr: string) => `${expr} and on (namespace, instance) breakwater_build_info`;

const CALLS: Row = {
  title: 'Calls',
  panels: [
    { title: 'Calls by outcome', unit: 'reqps', queries: [perSecond('requests_total', 'outcome')] },
    {
      title: 'Success of calls, and of attempts alone',
      description: 'The difference is the effect of retries. Calls whose client left are left out.',
      unit: 'percentunit',
      max: 1,
      queries: [
        {
          expr: ratio('requests_total', 'outcome=~"ok|rescued|fallback"', 'outcome!="client_gone"'),
          legend: 'effective',
        },
        { expr: ratio('attempts_total', 'result=~"ok|4xx"', 'result!="client_gone"'), legend: 'actual' },
      ],
    },
    {
      title: 'Attempts per call',
      description: '1: no retries. Below 1: the breaker, a limit or the cache answers calls.',
      unit: 'none',
      queries: [
        {
          expr: `${sum(ofUpstream('attempts_total'), 'upstream')} / ${sum(ofUpstream('requests_total'), 'upstream')}`,
          legend: '{{upstream}}',
        },
      ],
    },
    {
      title: 'Burn rate of the error budget',
      description:
        '1 uses up the budget of 30 days in 30 days; 14.4 pages. From the recording rules, which cover all instances.',
      unit: 'none',
      queries: ['1h', '6h', '3d'].map((window) => ({
        expr: `namespace_upstream:breakwater_failures:ratio_rate${window}{namespace=~"$namespace",upstream=~"$upstream"} / (1 - namespace_upstream:breakwater_success_objective:ratio)`,
        legend: `{{upstream}} ${window}`,
      })),
    },
    {
      title: 'Call duration',
      unit: 's',
      queries: quantiles('request_duration_seconds', [0.5, 0.95, 0.99]),
    },
    {
      title: 'Attempt duration, p99',
      unit: 's',
      queries: [
        {
          expr: `histogram_quantile(0.99, ${sum(ofUpstream('attempt_duration_seconds_bucket'), 'le, upstream')})`,
          legend: '{{upstream}}',
        },
      ],
    },
  ],
};

const RETRIES: Row = {
  title: 'Retries, breakers, limits',
  panels: [
    { title: 'Attempts by result', unit: 'reqps', queries: [perSecond('attempts_total', 'result')] },
    { title: 'Retries, by reason', unit: 'reqps', queries: [perSecond('retries_total', 'reason')] },
    {
      title: 'Retries denied, and refusals',
      unit: 'reqps',
      queries: [
        perSecond('retries_denied_total', 'reason', 'denied: '),
        perSecond('rejected_total', 'reason', 'refused: '),
      ],
    },
    {
      title: 'Breakers that are not closed',
      unit: 'none',
      max: 1,
      queries: [
        {
          expr: `${ofUpstream('breaker_state', 'state!="closed"')} == 1`,
          legend: '{{instance}} {{scope}} {{state}}',
        },
      ],
    },
    {
      title: 'Retry budget',
      unit: 'none',
      queries: [gauge('retry_budget_tokens', '{{instance}} {{scope}}')],
    },
    {
      title: 'Concurrency',
      unit: 'none',
      queries: [
        gauge('concurrency_limit', 'limit {{instance}} {{scope}}'),
        gauge('concurrency_in_flight', 'in flight {{instance}} {{scope}}'),
        gauge('concurrency_queue_depth', 'queued {{instance}} {{scope}}'),
      ],
    },
    {
      title: 'Waits, p95',
      unit: 's',
      queries: ['backoff', 'concurrency_wait', 'quota_wait'].flatMap((wait) =>
        quantiles(`${wait}_seconds`, [0.95]).map(({ expr }) => ({ expr, legend: wait })),
      ),
    },
    {
      title: 'Second attempts and fallbacks',
      unit: 'reqps',
      queries: [
        perSecond('hedges_total', 'result', 'hedge: '),
        perSecond('stuck_attempts_total', 'result', 'stuck: '),
        perSecond('fallbacks_total', 'result', 'fallback: '),
      ],
    },
    {
      title: 'Connections',
      unit: 'none',
      queries: [
        gauge('upstream_connections', '{{instance}} {{upstream}}'),
        gauge('tunnels', 'WebSocket {{instance}} {{upstream}}'),
      ],
    },
  ],
};

const QUOTA: Row = {
  title: 'Quota',
  panels: [
    {
      title: 'Quota left',
      description: 'The share that is left to the credential with the least.',
      unit: 'percentunit',
      max: 1,
      queries: [
        {
          expr: `${ofUpstream('quota_remaining')} / ${ofUpstream('quota_limit')}`,
          legend: '{{instance}} {{scope}} {{bucket}}',
        },
      ],
    },
    {
      title: 'Time until the quota is full',
      unit: 's',
      queries: [gauge('quota_reset_seconds', '{{instance}} {{scope}} {{bucket}}')],
    },
    {
      title: 'Attempts that wait, and cooldowns',
      unit: 'none',
      queries: [
        gauge('quota_queue_depth', 'waiting {{instance}} {{scope}}'),
        gauge('quota_cooldowns_active', 'cooldowns {{instance}} {{scope}}'),
      ],
    },
    {
      title: 'Cooldowns that began, by cause',
      unit: 'reqps',
      queries: [perSecond('quota_cooldowns_total', 'cause')],
    },
    {
      title: 'Cost: estimated and stated',
      description:
        'Units per second, such as tokens. The estimate is what the proxy reserves before an attempt.',
      unit: 'none',
      queries: [
        { expr: sum(ofUpstream('quota_estimated_cost_total'), 'upstream'), legend: '{{upstream}} estimated' },
        { expr: sum(ofUpstream('quota_cost_total'), 'upstream'), legend: '{{upstream}} stated' },
      ],
    },
    {
      title: 'Cost in replies',
      unit: 'reqps',
      queries: [perSecond('quota_cost_readings_total', 'result')],
    },
  ],
};

const CACHE: Row = {
  title: 'Response cache and idempotent replay',
  panels: [
    { title: 'Cache, by result', unit: 'reqps', queries: [perSecond('cache_requests_total', 'result')] },
    {
      title: 'Calls that the cache answers',
      description: 'Of the calls that it handles (all but bypass).',
      unit: 'percentunit',
      max: 1,
      queries: [
        {
          expr: ratio('cache_requests_total', 'result=~"hit|stale|stale_if_error"', 'result!="bypass"'),
          legend: 'without waiting for the upstream',
        },
      ],
    },
    {
      title: 'Idempotent replay, by result',
      unit: 'reqps',
      queries: [perSecond('dedupe_requests_total', 'result')],
    },
    {
      title: 'Memory',
      unit: 'bytes',
      queries: [
        gauge('cache_bytes', 'cache {{instance}} {{scope}}'),
        gauge('dedupe_bytes', 'idempotent replay {{instance}} {{scope}}'),
        { expr: ofProcess('buffered_body_bytes'), legend: 'buffered bodies {{instance}}' },
      ],
    },
  ],
};

const STREAMS: Row = {
  title: 'Event streams',
  panels: [
    { title: 'Streams by result', unit: 'reqps', queries: [perSecond('streams_total', 'result')] },
    {
      title: 'Time to the first event',
      unit: 's',
      queries: quantiles('stream_first_event_seconds', [0.5, 0.95, 0.99]),
    },
    {
      title: 'Longest gap between two events',
      unit: 's',
      queries: quantiles('stream_longest_gap_seconds', [0.5, 0.95, 0.99]),
    },
  ],
};

const DURABLE: Row = {
  title: 'Durable requests and schedules',
  panels: [
    {
      title: 'In the store, by status',
      description: 'Replicas that share a store report the same requests, so the largest figure counts.',
      unit: 'none',
      queries: [
        {
          expr: `sum by (status) (max by (namespace, upstream, route, status) (${ofUpstream('durable_requests')}))`,
          legend: '{{status}}',
        },
      ],
    },
    {
      title: 'Oldest due request',
      unit: 's',
      queries: [
        {
          expr: `max by (namespace, upstream, route) (${ofUpstream('durable_oldest_due_seconds')})`,
          legend: '{{upstream}}/{{route}}',
        },
      ],
    },
    {
      title: 'Requests that ended, by status',
      unit: 'reqps',
      queries: [perSecond('durable_time_to_done_seconds_count', 'status')],
    },
    {
      title: 'Time from acceptance to success',
      unit: 's',
      queries: quantiles('durable_time_to_done_seconds', [0.5, 0.95], (name) =>
        ofUpstream(name, 'status="succeeded"'),
      ),
    },
    {
      title: 'Deferrals, by reason',
      unit: 'reqps',
      queries: [perSecond('durable_deferrals_total', 'reason')],
    },
    {
      title: 'Polls, by result',
      unit: 'reqps',
      queries: [perSecond('durable_polls_total', 'result')],
    },
    {
      title: 'Callbacks, and schedules',
      unit: 'reqps',
      queries: [
        { expr: sum(ofProcess('callbacks_total'), 'outcome'), legend: 'callback: {{outcome}}' },
        {
          expr: sum(ofProcess('schedule_slots_total'), 'schedule, result'),
          legend: 'schedule: {{schedule}} {{result}}',
        },
      ],
    },
    {
      title: 'Commits to the store',
      unit: 's',
      queries: quantiles('store_commit_seconds', [0.5, 0.99], ofProcess),
    },
    {
      title: 'Size of the store',
      unit: 'bytes',
      queries: [{ expr: ofProcess('store_bytes'), legend: '{{instance}}' }],
    },
    {
      title: 'Store works',
      unit: 'none',
      max: 1,
      queries: [{ expr: ofProcess('store_working'), legend: '{{instance}}' }],
    },
    {
      title: 'Taken over from a process that ended',
      unit: 'reqps',
      queries: [perSecond('durable_reclaimed_total', 'route')],
    },
  ],
};

const PROCESSES: Row = {
  title: 'The process',
  panels: [
    {
      title: 'CPU, event loop',
      unit: 'none',
      queries: [
        { expr: ofNode(rate(`process_cpu_seconds_total{${PROCESS}}`)), legend: 'CPU {{instance}}' },
        {
          expr: ofNode(`nodejs_eventloop_lag_p99_seconds{${PROCESS}}`),
          legend: 'event loop p99 (s) {{instance}}',
        },
      ],
    },
    {
      title: 'Memory of the process',
      unit: 'bytes',
      queries: [
        { expr: ofNode(`process_resident_memory_bytes{${PROCESS}}`), legend: 'resident {{instance}}' },
        { expr: ofNode(`nodejs_heap_size_used_bytes{${PROCESS}}`), legend: 'heap {{instance}}' },
      ],
    },
    {
      title: 'Newest configuration in force',
      description: '0: the proxy refused it, and the old one is still in force.',
      unit: 'none',
      max: 1,
      queries: [{ expr: ofProcess('config_last_reload_successful'), legend: '{{instance}}' }],
    },
    {
      title: 'Versions',
      unit: 'none',
      queries: [
        {
          expr: `count by (version, node) (${ofProcess('build_info')})`,
          legend: '{{version}} on Node.js {{node}}',
        },
      ],
    },
    {
      title: 'Lost: log lines, spans, events for operators',
      unit: 'reqps',
      queries: [
        { expr: rate(ofProcess('log_lines_dropped_total')), legend: 'log lines {{instance}}' },
        {
          expr: rate(ofProcess('trace_spans_total', 'result=~"failed|dropped"')),
          legend: 'spans: {{result}} {{instance}}',
        },
        {
          expr: rate(ofProcess('operator_events_total', 'outcome=~"failed|refused|dropped"')),
          legend: 'events: {{outcome}} {{instance}}',
        },
      ],
    },
  ],
};

const ROWS: readonly Row[] = [CALLS, RETRIES, QUOTA, CACHE, STREAMS, DURABLE, PROCESSES];

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** Prometheus adds `instance`. Its service discovery in Kubernetes can add `namespace`, so All must match an absent one. */
const VARIABLES = [
  { name: 'namespace', label: 'Namespace', allValue: '.*', of: 'breakwater_build_info' },
  {
    name: 'instance',
    label: 'Instance',
    allValue: '.*',
    of: 'breakwater_build_info{namespace=~"$namespace"}',
  },
  // Calls that match no upstream have an empty one.
  {
    name: 'upstream',
    label: 'Upstream',
    allValue: '.+',
    of: `breakwater_upstream_connections{${PROCESS}}`,
  },
];

const variable = ({ name, label, allValue, of }: (typeof VARIABLES)[number]) => ({
  name,
  label,
  type: 'query',
  datasource: DATASOURCE,
  query: { query: `label_values(${of}, ${name})`, refId: name },
  refresh: 2,
  multi: true,
  includeAll: true,
  allValue,
  current: { text: 'All', value: '$__all' },
});

const WIDTH = 8;
const HEIGHT = 8;
const PER_LINE = 3;

function timeseries({ title, description, unit, max, queries }: Panel, place: { x: number; y: number }) {
  return {
    type: 'timeseries',
    title,
    description,
    datasource: DATASOURCE,
    gridPos: { ...place, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: 0, max }, overrides: [] },
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      expr,
      legendFormat: legend,
    })),
  };
}

/** The panels in Grafana's form: the rows below each other, with three panels to a line. */
function placed() {
  let y = 0;
  const all = ROWS.flatMap(({ title, panels }) => {
    const top = y + 1;
    const row = { type: 'row', title, collapsed: false, gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] };
    y = top + Math.ceil(panels.length / PER_LINE) * HEIGHT;
    const place = (i: number) => ({
      x: (i % PER_LINE) * WIDTH,
      y: top + Math.floor(i / PER_LINE) * HEIGHT,
    });
    return [row, ...panels.map((panel, i) => timeseries(panel, place(i)))];
  });
  return all.map((panel, i) => ({ id: i + 1, ...panel }));
}

/** The dashboard as Grafana imports it. */
export function dashboard() {
  return {
    title: 'Breakwater',
    uid: 'breakwater',
    tags: ['breakwater'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
        ...VARIABLES.map(variable),
      ],
    },
    annotations: { list: [] },
    panels: placed(),
  };
}
