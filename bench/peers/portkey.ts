/** @portkey-ai/gateway without its console. `node portkey.ts PORT`; each request names its upstream. */
process.argv.push(`--port=${process.argv[2]}`, '--headless');
await import(import.meta.resolve('@portkey-ai/gateway/build/start-server.js'));
