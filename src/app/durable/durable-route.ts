import type { RouteConfig } from '../../config/config.ts';
import type { AttemptResult, Classification, DurableRoute } from '../../durable/route.ts';
import { CredentialNames } from '../../http/credentials.ts';
import type { ConcurrencyLimit } from '../../policies/concurrency/limit.ts';
import { attemptPipeline, type Policies } from '../../policies/order.ts';
import { waitRange } from '../../policies/retry/backoff.ts';
import type { RetryBudget } from '../../policies/retry/budget.ts';
import { classify, isSuccess } from '../../policies/retry/classify.ts';
import { durableRules } from '../../policies/retry/durable-rules.ts';
import type { RetryOptions } from '../../policies/retry/options.ts';
import { askedBy, nextStep } from '../../policies/retry/step.ts';
import { type Dispatch, sendBy } from '../../proxy/pipeline.ts';
import type { Route } from '../../proxy/route.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';

export interface DurableParts {
  readonly route: Route;
  readonly config: RouteConfig;
  /** The policies of the route. All except retry are used. */
  readonly policies: Policies;
  readonly budget: RetryBudget;
  readonly limit: Pick<ConcurrencyLimit, 'limit' | 'inFlight'>;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly random: Random;
  readonly polls: DurableRoute['polls'];
  readonly targets: DurableRoute['targets'];
}

/** The body may take twice the idle timeout. A limit is needed, because the attempt's lease has one. */
const BODY_IDLE_TIMES = 2;

/** Builds a route's second pipeline over the same breaker, budget and limits. Undefined if not durable. */
export function durableRoute(parts: DurableParts): DurableRoute | undefined {
  const { route, config, policies, budget, limit, dispatch, clock, polls, targets } = parts;
  const { durable, idleTimeoutMs, retry, totalTimeoutMs } = config.settings;
  if (durable === undefined) return undefined;
  const { backoff, options } = durable;
  const rules = durableRules(retry, durable);
  return {
    name: `${route.upstream}/${route.name}`,
    upstream: route.upstream,
    route: route.name,
    options,
    safe: retry.safe,
    notProcessed: rules.notProcessed,
    clientPartHeader: route.clientPartHeader,
    idempotencyHeader: retry.idempotencyHeader,
    send: sendBy(attemptPipeline(policies, dispatch)),
    room: () => limit.limit - limit.inFlight,
    headTimeoutMs: totalTimeoutMs,
    bodyTimeoutMs: BODY_IDLE_TIMES * idleTimeoutMs,
    headDecides: false,
    inject: route.headers.add,
    drop: route.headers.drop,
    dropParameters: route.dropParameters,
    names: new CredentialNames(config.settings.identity),
    polls,
    targets,
    classify: (result) => classifyResult(result, rules, budget, parts.random),
    withdraw: (cost) => budget.withdraw(clock.now(), cost),
    refund: (cost) => budget.refund(cost),
    waitRange: (n) => waitRange(n, backoff, false),
  };
}

/**
 * Accepts calls instead of sending them. Injected fields are added when the request is sent, so that no configured
 * secret is stored.
 */
export function acceptingRoute(route: Route, { options }: DurableRoute, accept: Dispatch): Route {
  const headers = { drop: route.headers.drop, add: [] };
  return { ...route, dispatch: accept, maxReplayBytes: options.maxBodyBytes, headers };
}

/** Uses the rules and the step of the synchronous retry. A success pays into the same budget. */
function classifyResult(
  result: AttemptResult,
  rules: RetryOptions,
  budget: RetryBudget,
  random: Random,
): Classification {
  const { outcome, method, repeatable, attempt } = result;
  const call = { method, safe: rules.safe, idempotencyKey: repeatable ? '' : undefined };
  const decision = classify(outcome, call, rules, attempt);
  if (isSuccess(outcome, decision)) budget.deposit();
  if (decision.retry === 'yes')
    return nextStep(
      {
        ...result,
        decision,
        replayable: true,
        deadline: result.deadlineAt,
        askedMs: askedBy(outcome, result.now),
      },
      rules,
      random,
    );
  if (decision.because === 'success') return { kind: 'success' };
  return { kind: 'stop', because: STOPS[decision.because] };
}

const STOPS = {
  not_idempotent: 'not_idempotent',
  veto: 'veto',
  permanent: 'permanent',
  not_retryable: 'not_retryable',
  rejected: 'not_retryable',
  client_gone: 'not_retryable',
} as const;
