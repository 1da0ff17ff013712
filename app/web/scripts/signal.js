/* An event that a module tells without knowing who acts on it. */

export function signal() {
  const listeners = [];
  return {
    listen: (listener) => { listeners.push(listener); },
    tell: (news) => { for (const listener of listeners) listener(news); },
  };
}
