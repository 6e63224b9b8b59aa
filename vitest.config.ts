import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A test that hangs waits for something that never comes; none of them waits on the wall clock.
    testTimeout: 20_000,
    // `expect.poll` asks a browser, which may be slow.
    expect: { poll: { timeout: 30_000 } },
  },
});
