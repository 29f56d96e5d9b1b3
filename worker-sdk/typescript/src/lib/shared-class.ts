import { read } from "./foreign.ts";

/**
 * Makes `instanceof` know the instances of this class that another copy of the SDK in the same
 * process has made: a helper library may bring its own.
 */
export function shareClass(
  shared: { readonly prototype: object; readonly name: string },
  name: string = shared.name,
): void {
  const mark = Symbol.for(`pawl.class.${name}`);
  Object.defineProperty(shared.prototype, mark, { value: true });
  Object.defineProperty(shared, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      // A class of the user's below this one inherits the function.
      if (this !== shared) return Function.prototype[Symbol.hasInstance].call(this, value);
      return typeof value === "object" && value !== null && read(value, mark) === true;
    },
  });
}
