/** An upstream with a target for each of these hosts. `more`: lines of the upstream. */
export const hosts = (targets: Readonly<Record<string, { readonly url: string }>>, more = '') => `
upstreams:
  api:
    allow_private: true
${more}    targets:
${Object.entries(targets)
  .map(([name, { url }]) => `      - { name: ${name}, url: ${url} }\n`)
  .join('')}`;

/** An upstream with a target for each of these keys at one host. `more`: lines of the upstream. */
export const keys = ({ url }: { readonly url: string }, names: readonly string[], more = '') => `
upstreams:
  api:
    url: ${url}
    allow_private: true
${more}    targets:
${names.map((name) => `      - { name: ${name}, headers: { set: { authorization: "Bearer ${name}" } } }\n`).join('')}`;
