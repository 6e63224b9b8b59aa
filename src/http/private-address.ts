import { BlockList, isIP } from 'node:net';

/** Addresses that are not a third party's on the public internet (IANA special-purpose registries, RFC 6890). */
const IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8], // this host
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT, also cloud-internal services
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // link-local, the clouds' metadata service
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // benchmarking
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
];

const IPV6: readonly (readonly [string, number])[] = [
  ['::', 128],
  ['::1', 128],
  ['fc00::', 7], // unique local, AWS's metadata service fd00:ec2::254
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

function build(): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of IPV4) {
    list.addSubnet(net, prefix, 'ipv4'); // also matches ::ffff:a.b.c.d
    list.addSubnet(`64:ff9b::${net}`, 96 + prefix, 'ipv6'); // NAT64 (RFC 6052) leads to the same place
    list.addSubnet(`::${net}`, 96 + prefix, 'ipv6'); // IPv4-compatible, deprecated and still parsed
  }
  for (const [net, prefix] of IPV6) list.addSubnet(net, prefix, 'ipv6');
  return list;
}

let blocked: BlockList | undefined;

/** True for loopback, private, link-local, metadata, multicast and reserved addresses, and for what is no address at all. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  blocked ??= build();
  return blocked.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

const LOCAL_NAMES: ReadonlySet<string> = new Set(['localhost', 'metadata', 'metadata.google.internal']);

/** True for a host name, or an address literal (brackets allowed), that leads inside without asking DNS. */
export function isPrivateHost(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/^\[|\]$/g, '');
  if (isIP(name) !== 0) return isPrivateAddress(name);
  return LOCAL_NAMES.has(name) || name.endsWith('.localhost');
}
