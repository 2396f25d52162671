// Bounds: what the product of a query and a row becomes, up to what the host takes off for the query, and how it sorts.
DEVICE f32 bound_of(u32 cosine, f32 own, f32 weight, f32 product) {
  return cosine ? product * weight : fma_f32(own, weight, product);
}

DEVICE u64 bound_key(f32 bound) {
  const u32 bits = AS_U32(bound);
  return (u64)((bits >> 31) != 0 ? ~bits : bits | 0x80000000u);
}

DEVICE f32 key_bound(u64 key) {
  const u32 ordered = (u32)key;
  return AS_F32((ordered >> 31) != 0 ? ordered & 0x7fffffffu : ~ordered);
}

