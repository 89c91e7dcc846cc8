/** This machine's account at each directory. The key is made once; no two CAs see the same one. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'acme-client';
import { z } from 'zod';
import { makePrivateFolder, writePrivateFile } from '../../private-file.ts';
import { makeClient, nameOf } from './client.ts';
import { makeKey } from './order.ts';
import { AcmeProblem } from './problem.ts';
import type { Transport } from './transport.ts';

const Account = z.object({ directory: z.string(), url: z.url().nullable(), privateKey: z.string() });
type Account = z.infer<typeof Account>;

export class Accounts {
  readonly #folder: string;
  readonly #email: string | null;
  readonly #transport: Transport;

  /** @param email where the CA may write to */
  constructor(folder: string, email: string | null, transport: Transport) {
    this.#folder = folder;
    this.#email = email;
    this.#transport = transport;
  }

  /**
   * `work` with a client that is logged in. The account is made when there is none, which agrees to the CA's terms: to
   * configure a CA is to do so (docs/tls.md says it).
   */
  async use<T>(directory: string, work: (client: Client) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#login(directory));
    } catch (error) {
      if (!isUnknownAccount(error)) throw error;
      // The CA lost or closed it: the same key makes a new one.
      const account = await this.#read(directory);
      if (account) await this.#save({ ...account, url: null });
      return work(await this.#login(directory));
    }
  }

  async #login(directory: string): Promise<Client> {
    const account = (await this.#read(directory)) ?? { directory, url: null, privateKey: makeKey() };
    // The key is on disk before the CA knows it.
    if (account.url === null) await this.#save(account);
    const client = await makeClient(directory, account, this.#transport);
    if (account.url !== null) return client;
    await this.#register(client);
    await this.#save({ ...account, url: client.getAccountUrl() });
    return client;
  }

  async #register(client: Client): Promise<void> {
    try {
      // An earlier try may have ended between the CA's answer and our writing it down.
      await client.createAccount({ onlyReturnExisting: true });
    } catch (error) {
      if (!isUnknownAccount(error)) throw error;
      const contact = this.#email === null ? {} : { contact: [`mailto:${this.#email}`] };
      await client.createAccount({ termsOfServiceAgreed: true, ...contact });
    }
  }

  #path(directory: string): string {
    return join(this.#folder, `${nameOf(directory)}.json`);
  }

  /** @throws when there is an account that cannot be read: a new one in its place would lose it without a word */
  async #read(directory: string): Promise<Account | null> {
    let text: string;
    try {
      text = await readFile(this.#path(directory), 'utf8');
    } catch (error) {
      // The first time.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    try {
      return Account.parse(JSON.parse(text));
    } catch {
      // What stands in it is a secret, so it is not said.
      throw new AcmeProblem('ORK_ACME_ACCOUNT', `The account file ${this.#path(directory)} is damaged; remove it`);
    }
  }

  async #save(account: Account): Promise<void> {
    await makePrivateFolder(this.#folder);
    await writePrivateFile(this.#path(account.directory), `${JSON.stringify(account)}\n`);
  }
}

const isUnknownAccount = (error: unknown): boolean =>
  error instanceof AcmeProblem && error.type === 'accountDoesNotExist';
