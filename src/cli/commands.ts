/** The words of the usage and of the shell completion about a command. */
interface About {
  /** Its arguments. */
  readonly words?: string;
  readonly about: string;
}

const ABOUT = {
  init: { about: 'write a small configuration to start from' },
  start: { about: 'run the proxy (SIGHUP reloads the configuration, SIGTERM drains and stops)' },
  check: { about: 'check the configuration and list all its problems' },
  explain: {
    words: 'METHOD PATH',
    about: 'show what the proxy would do with a request, and where each value is set',
  },
  simulate: {
    words: 'UPSTREAM',
    about: 'simulate an outage of an upstream with this configuration',
  },
  presets: { words: '[NAME]', about: 'print the presets: known facts about APIs, with sources' },
  requests: {
    words: 'ACTION',
    about: 'list, show, retry, cancel or delete durable requests of a running proxy',
  },
  calls: {
    words: '[ID | tail]',
    about: 'show notable calls of a running proxy, by id with their attempts; tail follows them',
  },
  breaker: {
    words: 'UPSTREAM',
    about: 'force the circuit breaker of a running proxy open or closed, or back to auto',
  },
  quota: {
    words: 'reset UPSTREAM',
    about: 'clear the learned limits and counted usage of a running proxy',
  },
  target: {
    words: 'UPSTREAM TARGET out|in',
    about: 'take a target of a running proxy out, or put it in again',
  },
  health: { about: 'tell by the exit code whether a proxy runs, for a HEALTHCHECK of a container' },
  schema: { about: 'print the JSON Schema of the configuration' },
  completion: { words: 'SHELL', about: 'print the completion script for bash, zsh or fish' },
} as const satisfies Record<string, About>;

export type CommandName = keyof typeof ABOUT;

/** All commands, in the order of the usage. */
export const COMMANDS: readonly (readonly [CommandName, About])[] = Object.entries(ABOUT) as [
  CommandName,
  About,
][];
