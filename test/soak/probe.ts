import { readdirSync, readlinkSync } from 'node:fs';

/** Resources of a process after garbage collection. */
export interface Holdings {
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** The most that it ever was. */
  readonly peakRssBytes: number;
  /** The target of each open file descriptor, without the numbers of sockets; none where /proc does not tell. */
  readonly descriptors: readonly string[];
  /** How many of each kind keep, or could keep, the event loop busy. */
  readonly resources: Readonly<Record<string, number>>;
}

// Preloaded into the proxy's process (--import): it answers each message of its parent with what it holds.
process.on('message', () => process.send?.(holdings()));
// The channel alone must not keep the process alive.
process.channel?.unref();

function holdings(): Holdings {
  // Twice: what finalisers let go of in the first is collected in the second.
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

/** None for the one that has just been used to look. */
function target(descriptor: string): string[] {
  try {
    return [readlinkSync(`/proc/self/fd/${descriptor}`).replace(/:\[\d+\]$/, '')];
  } catch {
    return [];
  }
}
