"""How do many records become one frame? In one pass where all is well, line by line where it is not.

``decode_chunk`` reads all lines with one compiled scanner, straight into columns; what that cannot vouch for goes to
pydantic, line by line. Pydantic is the authority: the fast way accepts only what pydantic accepts, with the same
values, so exactly the bad lines are rejected, each with its reason, and their neighbours are not. The ends of sources
are told apart from both.
"""

from spendgauge.schemas.chunks.decode import DecodedChunk, EndLine, decode_chunk, prepare_decoder
from spendgauge.schemas.chunks.frame import FRAME_SCHEMA

__all__ = ["FRAME_SCHEMA", "DecodedChunk", "EndLine", "decode_chunk", "prepare_decoder"]
