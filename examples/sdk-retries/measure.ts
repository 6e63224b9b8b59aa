import { FAULTS, type FaultName, startApi } from './api.ts';
import { startBreakwater } from './breakwater.ts';
import { SDKS, type SdkName } from './sdks.ts';

/** The proxy between the SDK and the API. */
export type Between = 'no proxy' | 'a proxy that retries too' | 'Breakwater';

/** The result of some operations, one after the other. */
export interface Measured {
  /** Requests that arrived at the API. */
  readonly attempts: number;
  /** Requests that the SDK made. */
  readonly requests: number;
  /** Operations that the SDK reported as failed. */
  readonly failed: number;
}

/** Sends `operations` with an SDK to an API that fails. */
export async function measure(
  sdk: SdkName,
  fault: FaultName,
  between: Between,
  operations = 1,
): Promise<Measured> {
  const api = await startApi(FAULTS[fault]);
  const proxy =
    between === 'no proxy'
      ? undefined
      : await startBreakwater({ apiUrl: api.url, preset: sdk, own: between === 'Breakwater' });
  let failed = 0;
  try {
    for (let i = 0; i < operations; i++) {
      await SDKS[sdk](proxy?.url ?? api.url).catch(() => failed++);
    }
    return { attempts: api.requests, requests: proxy?.calls ?? api.requests, failed };
  } finally {
    await proxy?.stop();
    await api.close();
  }
}

const BETWEEN: readonly Between[] = ['no proxy', 'a proxy that retries too', 'Breakwater'];

/** One operation for a permanent fault, ten for an intermittent one. */
const operationsFor = (fault: FaultName) => (fault === 'answers 503 every other time' ? 10 : 1);

/** Anthropic's SDK would wait for the whole hour, so it is not measured. */
const endless = (sdk: SdkName, fault: FaultName, between: Between) =>
  sdk === 'anthropic' && fault === 'asks to wait for an hour (429)' && between !== 'Breakwater';

/** Every fault with every SDK, as Markdown: attempts alone → through a proxy that retries too → through Breakwater. */
export async function table(): Promise<string> {
  const sdks = Object.keys(SDKS) as SdkName[];
  const lines = [`| the API | ${sdks.join(' | ')} |`, `| --- |${' ---: |'.repeat(sdks.length)}`];
  for (const fault of Object.keys(FAULTS) as FaultName[]) {
    const cells = await Promise.all(sdks.map((sdk) => cell(sdk, fault)));
    const operations = operationsFor(fault);
    lines.push(`| ${fault}${operations > 1 ? `, ${operations} calls` : ''} | ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

async function cell(sdk: SdkName, fault: FaultName): Promise<string> {
  const shown = [];
  for (const between of BETWEEN) {
    if (endless(sdk, fault, between)) shown.push('waits');
    else shown.push(String((await measure(sdk, fault, between, operationsFor(fault))).attempts));
  }
  const [alone, naive, ours] = shown;
  return `${alone} → ${naive} → **${ours}**`;
}
