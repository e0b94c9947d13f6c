import 'reflect-metadata';
import type { Type } from '@nestjs/common';

/** Where `@CommandHandler` and `@QueryHandler` note what a class is for. */
const METADATA = ['__commandHandler__', '__queryHandler__'];

interface Handler {
  execute(message: object): Promise<unknown>;
}

/** The two buses of a service in one, without Nest's container: a message goes to the handler of its class. */
export class Bus {
  private readonly handlers = new Map<unknown, Handler>();

  add(classes: readonly Type<object>[], ports: object): void {
    for (const handler of classes) {
      const message: unknown = METADATA.map((key) => Reflect.getMetadata(key, handler) as unknown).find(
        (found) => found !== undefined,
      );
      if (message === undefined) throw new Error(`${handler.name} is the handler of nothing`);
      this.handlers.set(message, new handler(ports) as Handler);
    }
  }

  async execute<R = unknown>(message: object): Promise<R> {
    const handler = this.handlers.get(message.constructor);
    if (handler === undefined) throw new Error(`nobody handles ${message.constructor.name}`);
    return (await handler.execute(message)) as R;
  }
}
