import { GCProfiler } from 'node:v8';

/**
 * Loaded by `node --import` into a process. SIGUSR2 begins to count the bytes that collections of the young generation move to the
 * old one. SIGWINCH ends it and prints them.
 */
let profiler: GCProfiler | undefined;

process.on('SIGUSR2', () => {
  profiler = new GCProfiler();
  profiler.start();
  process.stdout.write('counting\n');
});

process.on('SIGWINCH', () => {
  const { statistics } = profiler?.stop() ?? { statistics: [] };
  const young = statistics.filter(({ gcType }) => gcType === 'Scavenge');
  const moved = young.map(({ beforeGC, afterGC }) => oldBytes(afterGC) - oldBytes(beforeGC));
  const bytes = moved.reduce((sum, one) => sum + one, 0);
  process.stdout.write(`${young.length} collections moved ${bytes} bytes\n`);
});

function oldBytes({ heapSpaceStatistics }: HeapAt): number {
  return heapSpaceStatistics.find(({ spaceName }) => spaceName === 'old_space')?.spaceUsedSize ?? 0;
}

type HeapAt = NonNullable<ReturnType<GCProfiler['stop']>>['statistics'][number]['afterGC'];
