/** The logged-in user. Created once in main.tsx; pages get it by `useSession`. */
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
  /** Finds out whether the browser has a valid session. */
  readonly find: () => Promise<void>;
  /** @throws ApiError when the token is refused, or the browser keeps no session. */
  readonly logIn: (token: string) => Promise<void>;
  readonly logOut: () => Promise<void>;
  /** The hub no longer knows the session. */
  readonly end: () => void;
}

/** A page loaded over http cannot store a cookie that is for https only. */
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

/** Whether the session has ended: requests are pointless until the next login. */
export function useSessionEnded(): boolean {
  const state = useSession().state.value;
  return state.kind === 'in' && state.ended;
}

/** Whether the user has this scope. The hub enforces it; this hides buttons that it would refuse. */
export function useScope(scope: Scope): boolean {
  const state = useSession().state.value;
  return state.kind === 'in' && state.me.scopes.includes(scope);
}
