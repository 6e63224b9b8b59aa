import * as z from 'zod';
import { section, shorthand } from '../fields/field.ts';
import { choice, flag, isOff, text, texts } from '../fields/fields.ts';

/** `auth: off`: the calls of a route get no credential of the proxy, although its upstream has one. */
export const AUTH_OFF: Readonly<Record<string, never>> = Object.freeze({});

/** Checks the name of a query parameter. */
const checkParameter = (value: string): string | undefined =>
  value === '' ? 'is empty; write the secret, or remove the parameter' : undefined;

/** Checks a part of a credential (RFC 7617 §2). Messages do not quote it. */
const checkText = (value: string): string | undefined =>
  /\p{Cc}/u.test(value) ? 'contains a control character, such as a line break; remove it' : undefined;

const checkUser = (user: string): string | undefined =>
  user.includes(':')
    ? 'contains a colon, which ends the user name; move the rest to password'
    : checkText(user);

const keys = section(
  'A credential that the proxy adds to each attempt. The app need not know it.',
  {
    basic: section('HTTP Basic: a user and a password.', {
      user: text(undefined, 'The user name, or the key of an API that takes it as the user.', checkUser),
      password: text(undefined, 'The password. Default: empty.', checkText),
    }).optional(),
    query: z
      .record(z.string(), text(undefined, 'A secret query parameter.', checkParameter))
      .register(z.globalRegistry, { description: 'Query parameters that hold a secret, by name.' })
      .optional(),
    oauth2: section(
      'Access tokens by OAuth 2.0 client credentials (RFC 6749 §4.4), renewed before they expire.',
      {
        token_url: text(undefined, 'URL of the token endpoint. Required.'),
        client_id: text(undefined, 'The client. Required.', checkText),
        client_secret: text(
          undefined,
          'The secret of the client. Required, unless private_key is set.',
          checkText,
        ),
        client_auth: choice(
          ['basic', 'post'],
          'basic',
          'How the secret is sent: basic, in Authorization; post, in the body.',
        ),
        private_key: text(
          undefined,
          'In place of client_secret, the key that signs an assertion (private_key_jwt, RFC 7523): a PEM file, or PEM text. RSA, EC or Ed25519.',
        ),
        key_id: text(undefined, 'Name of private_key at the authorization server (kid).', checkText),
        assertion_audience: text(undefined, 'Audience of the assertion. Default: token_url.', checkText),
        scope: texts('The requested scopes.', checkText),
        audience: text(
          undefined,
          'The requested audience, for authorization servers that need one.',
          checkText,
        ),
        allow_private: flag(false, 'true: token_url may have a loopback or private address.'),
      },
    ).optional(),
    sigv4: section('AWS Signature Version 4, made for each attempt when it leaves.', {
      service: text(
        undefined,
        'Signing name of the service, such as s3, bedrock or dynamodb. Required.',
        checkText,
      ),
      region: text(undefined, 'Such as eu-central-1. Required.', checkText),
      access_key_id: text(undefined, 'The access key. Required, unless credentials_url is set.', checkText),
      secret_access_key: text(undefined, 'The secret of the access key.', checkText),
      session_token: text(undefined, 'Of temporary keys.', checkText),
      credentials_url: text(
        undefined,
        'In place of keys, the credential address of the container (ECS, EKS Pod Identity). Temporary keys are requested there, and renewed before they expire.',
      ),
      credentials_token: text(
        undefined,
        'Authorization for credentials_url, such as "${file:/var/run/secrets/token}". The file is read again when it changes.',
        checkText,
      ),
    }).optional(),
  },
  'auth',
);

export const auth = shorthand(keys, {
  type: 'off or a map of keys',
  json: { enum: [false, 'off', 'none'] },
  expand: (found) => (isOff(found) ? AUTH_OFF : undefined),
});

export type AuthInput = z.output<typeof keys>;
