import { existsSync } from 'node:fs';
import { configDefaults, defineConfig } from 'vitest/config';

// `npm ci` leaves the packages of these tests out. test/dependencies.test.ts then shows them as skipped.
const withoutPackages = existsSync('node_modules/breakwater-test-peers') ? [] : ['test/peers/**'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...withoutPackages],
    // Many tests wait for other processes. The default leaves one core free, which is half of a machine with two.
    maxWorkers: '100%',
    // A test that hangs waits for something that never comes; none of them waits on the wall clock. A busy machine is twenty times slower.
    testTimeout: 60_000,
    // Hooks create a PostgreSQL server or a bundle, which takes long on a busy machine.
    hookTimeout: 60_000,
    // `expect.poll` asks a browser, which may be slow.
    expect: { poll: { timeout: 30_000 } },
  },
});
