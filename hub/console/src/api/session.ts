/** Who is logged in. Made once in main.tsx; pages reach it by `useSession`. */
import { signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Me, Scope } from '../../../api/schemas.ts';
import { ApiError, call } from './client.ts';

type State =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'out' }
  | { readonly kind: 'unreachable'; readonly error: ApiError }
  /** `ended`: the hub no longer knows the session. The page stays as it is, behind a login. */
  | { readonly kind: 'in'; readonly me: Me; readonly ended: boolean };

interface Session {
  readonly state: ReadonlySignal<State>;
  /** Finds out whether the browser holds a session that the hub knows. */
  readonly find: () => Promise<void>;
  /** @throws ApiError when the token is refused, or the browser keeps no session. */
  readonly logIn: (token: string) => Promise<void>;
  readonly logOut: () => Promise<void>;
  /** The hub no longer knows the session. */
  readonly end: () => void;
}

/** A cookie for https only is not kept by a page that came by http. */
const NOT_KEPT =
  'The token is right, but the browser did not keep the session. Open the hub at its https address, and allow it to set cookies.';

export function makeSession(): Session {
  const state = signal<State>({ kind: 'unknown' });
  const find = async (): Promise<void> => {
    try {
      state.value = { kind: 'in', me: await call<Me>('GET', '/me'), ended: false };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      state.value = error.status === 401 ? { kind: 'out' } : { kind: 'unreachable', error };
    }
  };
  return {
    state,
    find,
    async logIn(token) {
      await call('POST', '/session', { token });
      await find();
      if (state.value.kind === 'out') throw new ApiError(0, NOT_KEPT);
    },
    async logOut() {
      await call('DELETE', '/session');
      state.value = { kind: 'out' };
    },
    end() {
      if (state.value.kind === 'in') state.value = { ...state.value, ended: true };
    },
  };
}

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error('A page was rendered outside of the application.');
  return session;
}

/** Whether the hub no longer knows the session: nothing needs to be asked before the next login. */
export function useSessionEnded(): boolean {
  const state = useSession().state.value;
  return state.kind === 'in' && state.ended;
}

/** Whether who is logged in may do what needs this scope. The hub decides; this spares buttons that it would refuse. */
export function useScope(scope: Scope): boolean {
  const state = useSession().state.value;
  return state.kind === 'in' && state.me.scopes.includes(scope);
}
