// Loaded by `node --import` into a process whose allocations are measured.
// SIGUSR2 starts sampling, also of what the collector frees. SIGWINCH stops it and writes the profile to $ALLOCATION_PROFILE.
import { renameSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';

/** Mean bytes between two samples. Smaller is more exact and slower. */
const INTERVAL_BYTES = 4096;

const session = new Session();
session.connect();

process.on('SIGUSR2', () =>
  session.post('HeapProfiler.startSampling', {
    samplingInterval: INTERVAL_BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  }),
);

process.on('SIGWINCH', () =>
  session.post('HeapProfiler.stopSampling', (error, result) => {
    if (error) throw error;
    const file = process.env['ALLOCATION_PROFILE'];
    if (file === undefined) throw new Error('ALLOCATION_PROFILE is not set');
    // Renamed at the end, so that the file is complete when it exists.
    writeFileSync(`${file}.part`, JSON.stringify(result.profile));
    renameSync(`${file}.part`, file);
  }),
);
