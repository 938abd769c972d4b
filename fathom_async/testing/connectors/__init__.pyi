from fathom_async.testing.connectors._emma import EmmaServer as EmmaServer
from fathom_async.testing.connectors._secoda import SecodaServer as SecodaServer
