/**
 * The upstream by which a proxy serves the hub on its own host. No environment has it: installer/install/hub.sh makes it,
 * journal and Docker know nothing of it.
 */
export const HUB_UPSTREAM = '00000000-0000-4000-8000-000000000001';
