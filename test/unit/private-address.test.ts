import { expect, test } from 'vitest';
import { isPrivateAddress, isPrivateHost } from '../../src/http/private-address.ts';

test.each([
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  '::ffff:127.0.0.1',
  '::ffff:a00:1',
  '::127.0.0.1',
  '64:ff9b::10.0.0.1',
  // The rest of the registries for special purposes (IANA, RFC 6890), one address each.
  '192.0.0.9',
  '192.0.2.1',
  '192.31.196.1',
  '192.52.193.1',
  '192.88.99.1',
  '192.175.48.1',
  '198.51.100.1',
  '203.0.113.1',
  '240.0.0.1',
  '::ffff:0:127.0.0.1',
  '::ffff:0:8.8.8.8',
  '64:ff9b::7f00:1',
  '64:ff9b:1::7f00:1',
  '64:ff9b:1::808:808',
  '100::1',
  '100:0:0:1::1',
  '2001::1',
  '2001:1::1',
  '2001:2::1',
  '2001:10::1',
  '2001:20::1',
  '2001:db8::1',
  '2002:a9fe:a9fe::',
  '2002:808:808::',
  '3fff::1',
  '5f00::1',
  '4000::1',
])('%s is private', (address) => expect(isPrivateAddress(address)).toBe(true));

test.each([
  '1.1.1.1',
  '11.0.0.1',
  '100.128.0.1',
  '172.15.0.1',
  '172.32.0.1',
  '192.169.0.1',
  '2606:4700::1111',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
  '::8.8.8.8',
  '2a00:1450:4001::1',
])('%s is public', (address) => expect(isPrivateAddress(address)).toBe(false));

test('text that is not an address counts as private', () =>
  expect(isPrivateAddress('example.com')).toBe(true));

test.each(['localhost', 'LOCALHOST.', 'a.localhost', 'metadata.google.internal', '[::1]', '127.0.0.1'])(
  'the host %s leads inside without DNS',
  (host) => expect(isPrivateHost(host)).toBe(true),
);

test.each(['api.stripe.com', 'localhost.example', 'notlocalhost', '[2606:4700::1111]', '8.8.8.8'])(
  'the host %s does not',
  (host) => expect(isPrivateHost(host)).toBe(false),
);
