import { readdirSync, readlinkSync } from 'node:fs';

/** Resources of a process after garbage collection. */
export interface Holdings {
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** The maximum so far. */
  readonly peakRssBytes: number;
  /** The target of each open file descriptor, without socket numbers; empty without /proc. */
  readonly descriptors: readonly string[];
  /** How many of each kind keep, or could keep, the event loop busy. */
  readonly resources: Readonly<Record<string, number>>;
}

// Preloaded into the proxy's process (--import). It answers each message of its parent with its resources.
process.on('message', () => process.send?.(holdings()));
// The channel alone must not keep the process alive.
process.channel?.unref();

function holdings(): Holdings {
  // Twice, because the second collects what finalisers have released in the first.
  for (let i = 0; i < 2; i++) globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return {
    heapBytes: heapUsed,
    externalBytes: external,
    rssBytes: rss,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    descriptors: descriptors(),
    resources,
  };
}

function descriptors(): string[] {
  try {
    return readdirSync('/proc/self/fd').flatMap(target).sort();
  } catch {
    return [];
  }
}

/** The target of a file descriptor; none for the one that was used for the listing. */
function target(descriptor: string): string[] {
  try {
    return [readlinkSync(`/proc/self/fd/${descriptor}`).replace(/:\[\d+\]$/, '')];
  } catch {
    return [];
  }
}
