/** Joins a host to a hub: exchanges a join token for an identity. */
import { renameSync } from 'node:fs';
import { EnrolAnswer } from '../../protocol/agent-link.ts';
import type { EnrolRequest } from '../../protocol/agent-link.ts';
import { reasonOf } from '../../protocol/service/dialling.ts';
import { OrkestrError, Problem } from '../../protocol/errors.ts';
import { readPublicKey } from '../../protocol/signing.ts';
import { makePrivateFolder } from '../lib/files.ts';
import { joiningKey, keepJoiningKey, readHostKey } from './host-key.ts';
import { lookUpIdentity, storeIdentity } from './identity.ts';
import type { Identity } from './identity.ts';

const ENROL_PATH = '/api/v1/enrol';
const ENROL_TIMEOUT_MS = 30_000;

interface Enrolment {
  readonly hubUrl: string;
  readonly joinToken: string;
  readonly name: string;
  readonly now: number;
}

interface Joined {
  readonly identity: Identity;
  /** False: this host had already joined. */
  readonly joined: boolean;
  /** Path under which a damaged identity was kept. */
  readonly keptAside: string | null;
}

/**
 * Exchanges a join token for an identity, also to replace a damaged identity or key. The key pair is stored before the
 * token is used: if the response is lost, the same call sends the same key and gets the same response. The key becomes
 * this host's once the hub has accepted it; until then a host whose key was damaged has not joined.
 * @throws OrkestrError ORK_JOIN_TOKEN, ORK_HUB_UNREACHABLE, ORK_CONFLICT
 */
export async function joinHub(stateFolder: string, enrolment: Enrolment): Promise<Joined> {
  const { known, damaged } = lookUpIdentity(stateFolder);
  const key = readHostKey(stateFolder);
  const there = known && alreadyThere(known, enrolment.hubUrl);
  if (there && key) return { identity: there, joined: false, keptAside: null };
  makePrivateFolder(stateFolder);
  const { publicKey } = key ?? joiningKey(stateFolder);
  const answer = await enrol(enrolment, publicKey);
  if (!readPublicKey(answer.hubPublicKey)) {
    throw new OrkestrError('ORK_PROTOCOL', 'The hub sent a key that is not an ed25519 public key.');
  }
  const identity: Identity = {
    hostId: answer.hostId,
    name: enrolment.name,
    hub: { url: enrolment.hubUrl, publicKey: answer.hubPublicKey },
    since: new Date(enrolment.now).toISOString(),
  };
  if (!key) keepJoiningKey(stateFolder);
  const keptAside = damaged === null ? null : keepAside(damaged);
  storeIdentity(stateFolder, identity);
  return { identity, joined: true, keptAside };
}

/** Only once there is a new one. Its remains may tell somebody which host this was. */
function keepAside(path: string): string {
  renameSync(path, `${path}.damaged`);
  return `${path}.damaged`;
}

function alreadyThere(known: Identity, hubUrl: string): Identity {
  if (known.hub?.url === hubUrl) return known;
  const whose = known.hub === null ? 'belongs to a host without a hub' : `belongs to the hub ${known.hub.url}`;
  throw new OrkestrError(
    'ORK_CONFLICT',
    `This state folder ${whose}. If it is the same hub at a new address, run \`orkestr-agent hub ${hubUrl}\`. Otherwise leave that hub first, which removes its apps: \`orkestr-agent leave\`.`,
  );
}

async function enrol({ hubUrl, joinToken, name }: Enrolment, publicKey: string): Promise<EnrolAnswer> {
  const body: EnrolRequest = { joinToken, name, publicKey };
  let status: number;
  let answer: unknown;
  try {
    const { request } = await import('undici');
    const response = await request(new URL(ENROL_PATH, hubUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ENROL_TIMEOUT_MS),
    });
    status = response.statusCode;
    answer = await response.body.json();
  } catch (cause) {
    const evidence = [reasonOf(cause)];
    throw new OrkestrError('ORK_HUB_UNREACHABLE', `The hub at ${hubUrl} did not give a usable answer.`, {
      evidence,
      cause,
    });
  }
  const enrolled = EnrolAnswer.safeParse(answer);
  if (status < 300 && enrolled.success) return enrolled.data;
  const problem = Problem.safeParse(answer);
  if (problem.success) throw new OrkestrError(problem.data.code, problem.data.detail);
  throw new OrkestrError('ORK_PROTOCOL', `The server at ${hubUrl} is not an orkestr hub (status ${status}).`);
}
