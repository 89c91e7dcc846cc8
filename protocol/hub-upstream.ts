/**
 * The upstream through which a proxy serves the hub on its own host. It belongs to no environment:
 * installer/install/hub.sh creates it, and journal and Docker do not know it.
 */
export const HUB_UPSTREAM = '00000000-0000-4000-8000-000000000001';
