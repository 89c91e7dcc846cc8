/** A compose file is recognized but never run: an environment is one container. */
import { posix } from 'node:path';
import { firstFile } from './repository.ts';
import type { RepositoryView } from './repository.ts';
import { readYamlBlocks, yamlField } from './yaml-blocks.ts';
import type { YamlField, YamlFile } from './yaml-blocks.ts';

const NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const MAX_SERVICES = 20;

interface ComposeService {
  readonly name: string;
  /** How the repository builds it; null for one of a ready-made image. */
  readonly build: { readonly context: string; readonly dockerfile: string } | null;
  /** The last part of its image's name: "postgres". Empty if it names none. */
  readonly image: string;
  /** A database, cache, queue or store, by its image. */
  readonly isStore: boolean;
}

export interface ComposeFile {
  readonly path: string;
  /** At most {@link MAX_SERVICES}. */
  readonly services: readonly ComposeService[];
}

/** Images of databases, caches, queues and stores, whoever publishes them (`bitnami/postgresql`). */
const STORE =
  /^(?:postgres(?:ql)?|postgis|pgvector|timescaledb(?:-ha)?|mysql(?:-server)?|mariadb|percona(?:-server)?|mongo(?:db)?(?:-.*)?|redis(?:-stack(?:-server)?)?|valkey|keydb|dragonfly|memcached|rabbitmq|nats|(?:cp-)?(?:kafka|zookeeper)|redpanda|elasticsearch|opensearch|meilisearch|typesense|solr|minio|clickhouse(?:-server)?|cassandra|scylla|couchdb|couchbase|influxdb|neo4j|qdrant|weaviate|etcd|cockroach|arangodb|rethinkdb|surrealdb|questdb|libsql-server|azure-sql-edge)$/;
/** Microsoft's image is called `mssql/server`. */
const SQL_SERVER = /\/mssql\/server(?:[:@]|$)/;

/** The compose file of a folder, or null. */
export async function composeFile(repository: RepositoryView): Promise<ComposeFile | null> {
  const found = await firstFile(repository, NAMES);
  if (found === null) return null;
  const file = readYamlBlocks(found.text);
  const all = (file.fields.find(({ key }) => key === 'services')?.fields ?? [])
    .filter(({ key }) => /^[A-Za-z0-9._-]{1,60}$/.test(key))
    .slice(0, MAX_SERVICES)
    .map((field) => serviceOf(file, field));
  return { path: found.path, services: all.map((one) => ({ ...one.service, build: buildBehind(one, all) })) };
}

interface Read {
  readonly service: ComposeService;
  /** Its image in full, with the tag. */
  readonly image: string;
  /** The service of the same file that it extends. */
  readonly extended: string | undefined;
}

function serviceOf(file: YamlFile, field: YamlField): Read {
  const image = yamlField(file, field, 'image')?.value ?? '';
  const [, short = ''] = /(?:^|\/)([\w.-]{1,60})(?:[:@]\S*)?$/.exec(image) ?? [];
  const build = yamlField(file, field, 'build');
  const extended = yamlField(file, field, 'extends');
  return {
    service: {
      name: field.key,
      build: build === undefined ? null : builtBy(file, build),
      image: short,
      isStore: STORE.test(short) || SQL_SERVER.test(image),
    },
    image,
    extended: extended === undefined ? undefined : (yamlField(file, extended, 'service')?.value ?? extended.value),
  };
}

/** `build: ./web`, a mapping below it, or one in braces. */
function builtBy(file: YamlFile, build: YamlField): NonNullable<ComposeService['build']> {
  const inBraces = (key: string): string | undefined =>
    new RegExp(`^\\{.*?\\b${key}:\\s*["']?([^\\s"',}]+)`).exec(build.value)?.[1];
  const said = (key: string): string | undefined => yamlField(file, build, key)?.value ?? inBraces(key);
  const inline = build.value.startsWith('{') ? '' : build.value;
  return {
    context: posix.normalize(said('context') ?? (inline || '.')).replace(/(?<=.)\/$/, ''),
    dockerfile: posix.normalize(said('dockerfile') ?? 'Dockerfile'),
  };
}

/** Also of services that run the image of another one, or extend it: a worker is often the web service's image. */
function buildBehind({ service, image, extended }: Read, all: readonly Read[]): ComposeService['build'] {
  if (service.build !== null) return service.build;
  const other = all.find(
    (one) => one.service.name === extended || (image !== '' && one.image === image && one.service.build !== null),
  );
  return other?.service.build ?? null;
}

/**
 * What becomes of its services: an environment for each that the repository builds, and the rest is not orkestr's.
 * @param others said of those that are built: "its other services"
 */
export function composeAdvice(services: readonly ComposeService[], others: string): string {
  const built = services.filter(({ build }) => build !== null);
  const ready = services.filter(({ build }) => build === null);
  const stores = ready.filter(({ isStore }) => isStore);
  const rest = ready.filter(({ isStore }) => !isStore);
  return [
    built.length === 0 ? '' : ` Create an environment for each of ${others}: ${listed(built)}.`,
    stores.length === 0 ? '' : ` Run its databases and caches yourself, see docs/services.md: ${listed(stores)}.`,
    rest.length === 0 ? '' : ` It names no build for ${listed(rest)}.`,
  ].join('');
}

const listed = (services: readonly ComposeService[]): string =>
  services
    .map(({ name, build, image }) => (build !== null || image === '' || image === name ? name : `${name} (${image})`))
    .join(', ');
