import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import Stripe from 'stripe';

export { Anthropic, OpenAI };

/** Two retries, the default of these SDKs. */
const RETRIES = 2;

/** The unmodified SDKs, with shorter waits between retries. */
const AT_ONCE = { calculateDefaultRetryTimeoutMillis: () => 1 };
const NO_DELAY = { getInitialNetworkRetryDelay: () => 0, getMaxNetworkRetryDelay: () => 0 };

/** One creating operation of each provider's SDK. Rejects like the SDK. */
export type Operation = (baseUrl: string) => Promise<unknown>;

export const SDKS = {
  openai: (url) => {
    const client = new OpenAI({ apiKey: 'k', baseURL: `${url}/v1`, maxRetries: RETRIES });
    Object.assign(client, AT_ONCE);
    return client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
  },
  anthropic: (baseURL) => {
    const client = new Anthropic({ apiKey: 'k', baseURL, maxRetries: RETRIES });
    Object.assign(client, AT_ONCE);
    return client.messages.create({
      model: 'm',
      max_tokens: 1,
      messages: [{ role: 'user', content: 'hello' }],
    });
  },
  stripe: (baseUrl) => {
    const { hostname: host, port } = new URL(baseUrl);
    const options = { protocol: 'http', host, port, maxNetworkRetries: RETRIES, telemetry: false } as const;
    const client = new Stripe('sk_test_k', options);
    Object.assign(client, NO_DELAY);
    return client.charges.create({ amount: 100, currency: 'eur', source: 'tok_visa' });
  },
} satisfies Record<string, Operation>;

export type SdkName = keyof typeof SDKS;
