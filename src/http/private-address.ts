import ipaddr from 'ipaddr.js';
import { isIpAddress } from './ip-address.ts';

/** The only IPv6 range assigned as global unicast (IANA IPv6 address space). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/** The NAT64 prefix, whose last 32 bits are a public IPv4 address (RFC 6052 §2.1). `64:ff9b:1::/48` is for local use. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');

/**
 * Whether an address is not public unicast, by the registries of RFC 6890. This includes loopback, private, link-local,
 * metadata, shared, documentation, benchmarking, multicast and reserved addresses, 6to4 and Teredo. An IPv4 address embedded
 * in IPv6 is checked as IPv4. True for text that is not an address.
 */
export function isPrivateAddress(address: string): boolean {
  if (!isIpAddress(address)) return true;
  const parsed = ipaddr.parse(address);
  return !isPublic(parsed instanceof ipaddr.IPv6 ? (embeddedIPv4(parsed) ?? parsed) : parsed);
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== 'unicast') return false;
  return address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST);
}

/** The IPv4 address embedded in an IPv6 address: mapped, compatible (deprecated, but still parsed) or NAT64. */
function embeddedIPv4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const embedded = address.range() === 'ipv4Mapped' || address.match(NAT64);
  return embedded ? new ipaddr.IPv4(address.toByteArray().slice(-4)) : undefined;
}

/** Whether an address to listen on can be reached from this machine alone. */
export const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);

const LOCAL_NAMES: ReadonlySet<string> = new Set(['localhost', 'metadata', 'metadata.google.internal']);

/** Whether a host name or address literal (brackets allowed) is private without a DNS lookup. */
export function isPrivateHost(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/^\[|\]$/g, '');
  if (isIpAddress(name)) return isPrivateAddress(name);
  return LOCAL_NAMES.has(name) || name.endsWith('.localhost');
}
