import { expect, test } from 'vitest';
import { CredentialGate } from '../../src/policies/targets/credential-gate.ts';

const refusal = (startedAt: number) => ({ status: 401, startedAt });

test('two refusals in a row shut it, and a probe that is accepted opens it', () => {
  const gate = new CredentialGate();
  expect(gate.refused(refusal(0), 10)).toBe(false);
  expect(gate.shut).toBeUndefined();
  expect(gate.refused(refusal(20), 30)).toBe(true);
  expect(gate.shut).toEqual({ status: 401, since: 30, probeAt: 5_030 });
  expect(gate.accepted(5_040)).toBe(true);
  expect(gate.shut).toBeUndefined();
});

test('a key that is refused for one kind of call only stays in use', () => {
  const gate = new CredentialGate();
  for (let at = 0; at < 1_000; at += 100) {
    expect(gate.refused(refusal(at), at + 10)).toBe(false);
    gate.accepted(at + 50);
  }
  expect(gate.shut).toBeUndefined();
});

test('each refused probe doubles the wait, up to five minutes', () => {
  const gate = new CredentialGate();
  gate.refused(refusal(0), 1);
  gate.refused(refusal(2), 3);
  let now = 3;
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    now = gate.shut?.probeAt ?? 0;
    gate.probed(now);
    gate.refused(refusal(now), now + 1);
    waits.push((gate.shut?.probeAt ?? 0) - now - 1);
  }
  expect(waits).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
});

test('attempts that left before it shut say nothing', () => {
  const gate = new CredentialGate();
  gate.refused(refusal(0), 10);
  gate.refused(refusal(0), 11);
  const { probeAt } = gate.shut ?? { probeAt: 0 };
  gate.refused(refusal(5), 100);
  expect(gate.accepted(6)).toBe(false);
  expect(gate.shut?.probeAt).toBe(probeAt);
  gate.accepted(200);
  expect(gate.refused(refusal(150), 300)).toBe(false);
});
