/** The part of the SDK's `HttpRequest` with the destination. */
interface SdkRequest {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  /** The SDK's object must not change. */
  clone(): SdkRequest;
}

interface Step {
  readonly request: unknown;
}

type Next = (step: Step) => Promise<unknown>;

interface SdkStack {
  add(
    middleware: (next: Next) => Next,
    place: { readonly step: 'deserialize'; readonly name: string },
  ): unknown;
}

/**
 * A plugin for clients of the AWS SDK for JavaScript v3. `base` is the upstream's mount, such as
 * `http://127.0.0.1:8080/dynamodb`. The SDK signs for the host of AWS, because no `endpoint` is set. The plugin changes the
 * connection's target only, and it runs in the step after the one that signs. `Host` stays the one of AWS.
 */
export function throughBreakwater(base: string) {
  const { protocol, hostname, port, pathname } = new URL(base);
  const mount = pathname.replace(/\/$/, '');
  const redirect =
    (next: Next): Next =>
    (step) => {
      const request = (step.request as SdkRequest).clone();
      const path = `${mount}${request.path}`;
      return next({
        ...step,
        request: Object.assign(request, { protocol, hostname, port: portOf(port), path }),
      });
    };
  return {
    applyToStack: (stack: SdkStack) => {
      stack.add(redirect, { step: 'deserialize', name: 'throughBreakwater' });
    },
  };
}

/** Undefined: the default port of the scheme. */
const portOf = (port: string): number | undefined => (port === '' ? undefined : Number(port));
