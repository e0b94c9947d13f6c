import { Module, type DynamicModule } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { BulkController } from './api/bulk.controller.js';
import { AuditController } from './api/audit.controller.js';
import { Commanding } from './api/commanding.js';
import { FilesController } from './api/files.controller.js';
import { HealthController } from './api/health.controller.js';
import { Listing } from './api/listing.js';
import { MetricsController } from './api/metrics.controller.js';
import { OperationsController } from './api/operations.controller.js';
import { API_PORTS, type ApiPorts } from './api/ports.js';
import { PurgesController } from './api/purges.controller.js';
import { RecordsController } from './api/records.controller.js';
import { StatsController } from './api/stats.controller.js';
import { Streaming } from './api/streaming.js';
import { TrashController } from './api/trash.controller.js';
import { Uploads } from './api/uploads.js';
import { LOG_TIME_HANDLERS } from './commands/log-time.handlers.js';
import { OPERATION_HANDLERS } from './commands/operation.handlers.js';
import { COMMAND_PORTS, type CommandPorts } from './commands/ports.js';
import { RECORD_HANDLERS } from './commands/record.handlers.js';
import { RegisterFileHandler } from './commands/register-file.handlers.js';
import { RecogniseRepeatHandler } from './commands/repeat.handlers.js';
import { UploadFileHandler } from './commands/upload.handlers.js';
import { QUERY_HANDLERS, QUERY_PORTS, type QueryPorts } from './projections/query.handlers.js';
import { STATS_HANDLERS } from './projections/stats.handlers.js';

const API_CONTROLLERS = [
  BulkController,
  AuditController,
  StatsController,
  TrashController,
  PurgesController,
  OperationsController,
  FilesController,
  RecordsController,
];

/** What every process answers of itself. */
const OWN_CONTROLLERS = [HealthController, MetricsController];

/** The rooms of the service, put together around the ports that it was opened with. Of `@nestjs/cqrs` only the two buses are used. */
@Module({})
export class AppModule {
  /** A process that is no `api` answers how it is, and nothing else. */
  static with(
    commands: CommandPorts,
    queries: QueryPorts,
    api: ApiPorts,
    roles: { readonly api: boolean },
  ): DynamicModule {
    return {
      module: AppModule,
      imports: [CqrsModule.forRoot()],
      controllers: roles.api ? [...API_CONTROLLERS, ...OWN_CONTROLLERS] : OWN_CONTROLLERS,
      providers: [
        { provide: COMMAND_PORTS, useValue: commands },
        { provide: QUERY_PORTS, useValue: queries },
        { provide: API_PORTS, useValue: api },
        Commanding,
        Listing,
        Streaming,
        Uploads,
        ...RECORD_HANDLERS,
        RegisterFileHandler,
        RecogniseRepeatHandler,
        UploadFileHandler,
        ...OPERATION_HANDLERS,
        ...LOG_TIME_HANDLERS,
        ...QUERY_HANDLERS,
        ...STATS_HANDLERS,
      ],
    };
  }
}
