import type { CallbackOptions } from '../../durable/callbacks/options.ts';
import { callbackRule } from '../../durable/callbacks/target.ts';
import { isPrivateHost } from '../../http/private-address.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';
import type { Complete } from './inherit.ts';

/** Options of callbacks. Reports missing secrets and private addresses. */
export function callbackOptions(
  written: Complete<ProcessInput>['durable']['callbacks'],
  report: Report,
): CallbackOptions {
  const path = ['durable', 'callbacks'];
  const allow = (written.allow as readonly string[] | undefined) ?? [];
  const secrets = (written.secrets as readonly string[] | undefined) ?? [];
  if (allow.length > 0 && secrets.length === 0 && !report.knows([...path, 'secrets'])) {
    report.problem(
      path,
      'secrets is missing, because callbacks are always signed; write for example secrets: ["${CALLBACK_SECRET}"], made by: echo whsec_$(openssl rand -base64 32)',
      'key',
    );
  }
  const inside = allow.find((text) => isPrivateHost(callbackRule(text)?.host ?? ''));
  if (inside !== undefined && !written.allow_private)
    report.problem(
      [...path, 'allow'],
      `"${inside}" is a private address; write allow_private: true next to allow if this is intended`,
    );
  return {
    allow,
    secrets,
    allowPrivate: written.allow_private,
    timeoutMs: written.timeout,
    waitsMs: written.waits,
    deadlineMs: written.deadline,
    retentionMs: written.retention,
    maxResultBytes: written.max_result,
  };
}
